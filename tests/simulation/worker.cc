// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "tests/simulation/processes.h"

namespace attnrl::scheduler::simulation {
namespace {

constexpr uint32_t kCredits = 3;
constexpr absl::Duration kRenew = absl::Seconds(20);

}  // namespace

void Process::Freeze(absl::Duration time) {
  if (!running()) return;
  frozen_ = true;
  world_.After(time, [self = shared_from_this()] {
    self->frozen_ = false;
    for (const auto& what : std::exchange(self->missed_, {})) {
      if (!self->dead_) what();
    }
  });
}

void Process::Later(absl::Duration delay, std::function<void()> what) {
  world_.After(delay, [self = shared_from_this(), what = std::move(what)] {
    if (self->dead_) return;
    if (self->frozen_) {
      self->missed_.push_back(what);
    } else {
      what();
    }
  });
}

// One connection, seen from both ends.
struct Worker::Stream {
  uint64_t life = 0;  // of the scheduler at its other end
  std::shared_ptr<WorkerSession> session;
  bool lost = false;                              // the scheduler has noticed
  bool over = false;                              // the worker has
  absl::Duration cut = absl::InfiniteDuration();  // nothing arrives after this
  absl::Duration up = absl::ZeroDuration();       // when the last message arrives: in their order
  absl::Duration down = absl::ZeroDuration();
};

void Worker::Start() {
  world_.Watch(std::static_pointer_cast<Worker>(shared_from_this()));
  Connect();
  Later(kRenew, [this] { RenewAll(); });
}

bool Worker::streams_open() const { return !streams_.empty(); }

void Worker::Connect() {
  auto stream = std::make_shared<Stream>();
  stream_ = stream;
  scheduler::Register hello{.worker = name_, .capacity = kCredits, .credits = kCredits};
  for (const auto& [lease, item] : leases_) hello.held.push_back({lease, item.item});
  for (const auto& [lease, result] : unacknowledged_) hello.held.push_back({lease, result.item});
  stream->up = world_.now() + world_.Latency();
  world_.After(stream->up - world_.now(), [this, self = shared_from_this(), stream, hello] {
    Scheduler* scheduler = world_.scheduler();
    auto session =
        scheduler == nullptr
            ? absl::StatusOr<std::shared_ptr<WorkerSession>>(absl::UnavailableError("away"))
            : scheduler->Connect(hello);
    if (session.ok()) {
      stream->session = *session;
      stream->life = world_.life();
      streams_.push_back(stream);
    }
    world_.Settle();
    if (!session.ok()) {
      Later(world_.Latency(), [this, stream, status = session.status()] { Ended(stream, status); });
    }
  });
}

void Worker::Send(WorkerMessage message) {
  const auto stream = stream_;
  if (stream == nullptr || stream->over) return;
  const int copies = world_.Chance(20) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    stream->up = std::max(stream->up, world_.now() + world_.Latency());
    world_.After(stream->up - world_.now(), [this, self = shared_from_this(), stream, message] {
      if (world_.scheduler() == nullptr || stream->life != world_.life()) return;
      if (stream->lost || world_.now() > stream->cut) return;
      WorkerMessage copy = message;
      const absl::Status status = world_.scheduler()->Receive(stream->session, std::move(copy));
      if (!status.ok()) world_.history().Broken("a worker's message is taken", status.ToString());
      world_.Settle();
    });
  }
}

void Worker::Collect() {
  for (const auto& stream : std::vector<std::shared_ptr<Stream>>(streams_)) {
    if (stream->life != world_.life()) {
      std::erase(streams_, stream);
      // The system at the other end says so.
      Later(world_.Latency(),
            [this, stream] { Ended(stream, absl::UnavailableError("nobody is there")); });
      continue;
    }
    std::optional<absl::Status> over;
    while (auto message = stream->session->Next(&over)) {
      world_.history().Told(name_, *message);
      stream->down = std::max(stream->down, world_.now() + world_.Latency());
      if (stream->lost || stream->down > stream->cut) continue;
      Later(stream->down - world_.now(),
            [this, stream, message = *std::move(message)] { Hear(stream, message); });
    }
    if (!over) continue;
    std::erase(streams_, stream);
    if (world_.now() > stream->cut) continue;
    Later(world_.Latency(), [this, stream, status = *over] { Ended(stream, status); });
  }
}

void Worker::Hear(const std::shared_ptr<Stream>& stream, const SchedulerMessage& message) {
  if (stream != stream_ || stream->over) return;
  if (const auto* registered = std::get_if<Registered>(&message)) {
    const auto lost = [&](const auto& entry) {
      return std::find(registered->adopted.begin(), registered->adopted.end(), entry.first) ==
             registered->adopted.end();
    };
    std::erase_if(leases_, lost);
    std::erase_if(unacknowledged_, lost);
    for (const auto& [lease, result] : unacknowledged_) Send(result);
  } else if (const auto* lease = std::get_if<Lease>(&message)) {
    leases_[lease->lease] = lease->item;
    Later(world_.Between(0.1, 15), [this, number = lease->lease] { Sample(number); });
  } else if (const auto* ack = std::get_if<Ack>(&message)) {
    unacknowledged_.erase(ack->lease);
  } else if (const auto* cancel = std::get_if<Cancel>(&message)) {
    for (const LeaseId taken : cancel->leases) leases_.erase(taken);
  }
}

void Worker::Ended(const std::shared_ptr<Stream>& stream, const absl::Status& status) {
  if (stream != stream_ || stream->over) return;
  stream->over = true;
  if (absl::IsFailedPrecondition(status)) {  // another one has its name
    world_.Tell(absl::StrCat(name_, " is replaced"));
    return Kill();
  }
  Later(world_.Between(0.1, 3), [this] { Connect(); });
}

void Worker::Break() {
  const auto stream = stream_;
  if (stream == nullptr || stream->over) return;
  stream->cut = world_.now() + world_.Between(0, 1);
  world_.After(world_.Between(0, 30), [this, self = shared_from_this(), stream] {
    if (stream->session == nullptr || stream->lost || stream->life != world_.life()) return;
    if (world_.scheduler() == nullptr) return;
    stream->lost = true;
    world_.scheduler()->Disconnect(stream->session);
  });
  Later(world_.Between(0, 30),
        [this, stream] { Ended(stream, absl::UnavailableError("the connection is lost")); });
}

// What it did is a function of the item, whose it is says the log-prob.
void Worker::Sample(LeaseId lease) {
  const auto held = leases_.find(lease);
  if (held == leases_.end()) return;
  ItemResult result = testing::Simulation::Sample(held->second, lease, false);
  const uint32_t number = world_.history().Sampled(lease, held->second.item);
  for (SampleResult& sample : result.samples) {
    for (float& logprob : sample.logprobs) logprob = -static_cast<float>(number);
  }
  leases_.erase(held);
  unacknowledged_[lease] = result;
  Send(result);
}

void Worker::GiveBack() {
  scheduler::GiveBack back{.reason = "it rests"};
  for (const auto& [lease, item] : leases_) back.leases.push_back(lease);
  leases_.clear();
  Send(back);
}

void Worker::Leave() {
  GiveBack();
  Send(Credits{0});
  if (const auto stream = stream_; stream != nullptr && !stream->over) {
    world_.After(stream->up - world_.now(), [this, self = shared_from_this(), stream] {
      if (stream->session == nullptr || stream->lost || stream->life != world_.life()) return;
      if (world_.scheduler() == nullptr || world_.now() > stream->cut) return;
      world_.scheduler()->Leave(stream->session);
    });
  }
  Kill();
}

void Worker::RenewAll() {
  Renew renew;
  for (const auto& [lease, item] : leases_) renew.leases.push_back(lease);
  for (const auto& [lease, result] : unacknowledged_) renew.leases.push_back(lease);
  Send(renew);
  Later(kRenew, [this] { RenewAll(); });
}

}  // namespace attnrl::scheduler::simulation
