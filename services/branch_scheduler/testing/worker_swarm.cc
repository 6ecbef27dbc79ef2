// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/testing/worker_swarm.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <queue>
#include <random>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/clock.h"
#include "common/rpc/connection.h"
#include "common/rpc/listener.h"
#include "proto/attnrl/v1/branch_scheduler.grpc.pb.h"

namespace attnrl::scheduler::testing {
namespace {

absl::Duration Now() { return Clock::Real().Monotonic(); }

class Swarm;

// One worker. gRPC calls it from a few threads of its own.
class Worker final : public grpc::ClientBidiReactor<v1::WorkerMessage, v1::SchedulerMessage> {
 public:
  Worker(Swarm* swarm, uint32_t number) : swarm_(*swarm), number_(number) {}

  void Begin();
  // The time to think about the lease is over.
  void Answer(const v1::Lease& lease);
  void Cancel() { context_.TryCancel(); }
  void Join() {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&done_));
  }

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

 private:
  void Send(v1::WorkerMessage message);

  Swarm& swarm_;
  const uint32_t number_;
  std::unique_ptr<v1::BranchScheduler::Stub> stub_;
  grpc::ClientContext context_;
  v1::SchedulerMessage incoming_;
  absl::Mutex mutex_;
  std::deque<v1::WorkerMessage> outgoing_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, absl::Duration> unacknowledged_ ABSL_GUARDED_BY(mutex_);
  std::deque<absl::Duration> wanting_ ABSL_GUARDED_BY(mutex_);  // a lease, since then
  bool connected_ = false;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
};

class Swarm final : public WorkerSwarm {
 public:
  explicit Swarm(const Options& options)
      : options_(options), random_(1), timer_([this] { RunTimer(); }) {
    for (uint32_t i = 0; i < options.workers; ++i) {
      workers_.push_back(std::make_unique<Worker>(this, i));
      workers_.back()->Begin();
    }
  }
  ~Swarm() override {
    {
      absl::MutexLock lock(&mutex_);
      stop_ = true;
    }
    timer_.join();
    for (const auto& worker : workers_) worker->Cancel();
    for (const auto& worker : workers_) worker->Join();
  }

  uint32_t connected() const override {
    absl::MutexLock lock(&mutex_);
    return connected_;
  }
  Figures Take() override {
    absl::MutexLock lock(&mutex_);
    return std::exchange(figures_, Figures{});
  }

  const Options& options() const { return options_; }
  void Connected(int change) {
    absl::MutexLock lock(&mutex_);
    connected_ += static_cast<uint32_t>(change);
  }
  void Note(std::vector<double> Figures::*list, absl::Duration took) {
    absl::MutexLock lock(&mutex_);
    (figures_.*list).push_back(absl::ToDoubleSeconds(took));
  }
  void NoteRefusal() {
    absl::MutexLock lock(&mutex_);
    ++figures_.refused;
  }
  void NoteBytes(size_t bytes) {
    absl::MutexLock lock(&mutex_);
    figures_.bytes += bytes;
  }
  uint32_t Length(uint32_t most) {
    absl::MutexLock lock(&mutex_);
    // Of sigma 1: its mean is exp(1/2) times its median.
    std::lognormal_distribution<double> length(std::log(options_.tokens) - 0.5, 1);
    return static_cast<uint32_t>(std::clamp(length(random_), 1.0, static_cast<double>(most)));
  }
  void Think(Worker* worker, v1::Lease lease) {
    absl::MutexLock lock(&mutex_);
    std::exponential_distribution<double> factor(1);
    thinking_.emplace(Now() + options_.think * factor(random_), Thought{worker, std::move(lease)});
  }

 private:
  struct Thought {
    Worker* worker;
    v1::Lease lease;
  };

  void RunTimer() {
    for (;;) {
      std::vector<Thought> over;
      {
        absl::MutexLock lock(&mutex_);
        auto due = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
          return stop_ || (!thinking_.empty() && thinking_.begin()->first <= Now());
        };
        mutex_.AwaitWithTimeout(absl::Condition(&due), absl::Milliseconds(2));
        if (stop_) return;
        while (!thinking_.empty() && thinking_.begin()->first <= Now()) {
          over.push_back(std::move(thinking_.begin()->second));
          thinking_.erase(thinking_.begin());
        }
      }
      for (const Thought& thought : over) thought.worker->Answer(thought.lease);
    }
  }

  const Options options_;
  mutable absl::Mutex mutex_;
  std::minstd_rand random_ ABSL_GUARDED_BY(mutex_);
  std::multimap<absl::Duration, Thought> thinking_ ABSL_GUARDED_BY(mutex_);
  Figures figures_ ABSL_GUARDED_BY(mutex_);
  uint32_t connected_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::thread timer_;
};

void Worker::Begin() {
  grpc::ChannelArguments arguments;
  rpc::SetClientArguments(
      [&arguments](const char* name, int value) { arguments.SetInt(name, value); });
  // Channels that are alike would share a connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  stub_ = v1::BranchScheduler::NewStub(grpc::CreateCustomChannel(
      swarm_.options().address, grpc::InsecureChannelCredentials(), arguments));
  stub_->async()->Work(&context_, this);
  v1::WorkerMessage hello;
  hello.mutable_register_()->set_worker(absl::StrCat("worker-", number_));
  hello.mutable_register_()->set_capacity(swarm_.options().credits);
  hello.mutable_register_()->set_credits(swarm_.options().credits);
  hello.mutable_register_()->set_numerics_id("simulated");
  Send(std::move(hello));
  StartRead(&incoming_);
  StartCall();
}

void Worker::Send(v1::WorkerMessage message) {
  absl::MutexLock lock(&mutex_);
  outgoing_.push_back(std::move(message));
  if (outgoing_.size() == 1) StartWrite(&outgoing_.front());
}

void Worker::OnWriteDone(bool ok) {
  absl::MutexLock lock(&mutex_);
  outgoing_.pop_front();
  if (ok && !outgoing_.empty()) StartWrite(&outgoing_.front());
}

void Worker::OnReadDone(bool ok) {
  if (!ok) return;
  const absl::Duration now = Now();
  if (incoming_.has_registered()) {
    connected_ = true;
    swarm_.Connected(+1);
  } else if (incoming_.has_lease()) {
    std::optional<absl::Duration> since;
    {
      absl::MutexLock lock(&mutex_);
      if (!wanting_.empty()) {
        since = wanting_.front();
        wanting_.pop_front();
      }
    }
    if (since) swarm_.Note(&WorkerSwarm::Figures::lease_seconds, now - *since);
    if (swarm_.options().think > absl::ZeroDuration()) {
      swarm_.Think(this, std::move(*incoming_.mutable_lease()));
    } else {
      Answer(incoming_.lease());
    }
  } else if (incoming_.has_ack()) {
    absl::Duration sent;
    {
      absl::MutexLock lock(&mutex_);
      sent = unacknowledged_[incoming_.ack().lease()];
      unacknowledged_.erase(incoming_.ack().lease());
    }
    swarm_.Note(&WorkerSwarm::Figures::ack_seconds, now - sent);
    if (incoming_.ack().verdict() != v1::Ack::VERDICT_ACCEPTED) swarm_.NoteRefusal();
  }
  StartRead(&incoming_);
}

void Worker::Answer(const v1::Lease& lease) {
  const v1::WorkItem& item = lease.item();
  v1::WorkerMessage message;
  v1::ItemResult* result = message.mutable_result();
  result->set_lease(lease.lease());
  result->set_item(item.item());
  *result->mutable_version() = item.version();
  for (const v1::SampleRequest& request : item.samples()) {
    const uint32_t length = swarm_.Length(request.max_new_tokens() - 1);
    v1::SampleResult* sample = result->add_samples();
    sample->set_node(request.node());
    sample->set_finish_reason(v1::SampleResult::FINISH_REASON_STOP);
    for (uint32_t i = 0; i < length; ++i) {
      sample->add_token_ids(i + 1 < length ? item.prompt_ids(0) : item.sampling().stop_ids(0));
      sample->add_logprobs(-0.5F);
      sample->add_entropy(0.5F);
    }
  }
  swarm_.NoteBytes(message.ByteSizeLong());
  {
    absl::MutexLock lock(&mutex_);
    unacknowledged_[lease.lease()] = Now();
    wanting_.push_back(Now());
  }
  Send(std::move(message));
}

void Worker::OnDone(const grpc::Status&) {
  if (connected_) swarm_.Connected(-1);
  absl::MutexLock lock(&mutex_);
  done_ = true;
}

}  // namespace

absl::StatusOr<std::unique_ptr<WorkerSwarm>> WorkerSwarm::Start(const Options& options) {
  if (static_cast<uint32_t>(rpc::PrepareDescriptors()) < options.workers) {
    return absl::ResourceExhaustedError(
        "too few file descriptors for a connection a worker; raise the limit (ulimit -n)");
  }
  return std::make_unique<Swarm>(options);
}

}  // namespace attnrl::scheduler::testing
