// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/simulation/processes.h"

namespace attnrl::scheduler::simulation {
namespace {

constexpr uint32_t kCheckpointEvery = 2;

// A call that would fail again in the same way.
bool IsFinal(const absl::Status& status) {
  return !status.ok() && !absl::IsUnavailable(status) && !absl::IsCancelled(status);
}

}  // namespace

// From its newest checkpoint on.
void Learner::Start() {
  next_ = world_.checkpoint;
  Later(world_.Between(0.1, 2), [this] { Register(); });
}

void Learner::Call(const std::string& what, std::function<Answer(Scheduler&)> serve) {
  Attempt(++call_, what, serve);
}

void Learner::Attempt(uint64_t call, const std::string& what,
                      const std::function<Answer(Scheduler&)>& serve) {
  if (call != call_) return;  // answered meanwhile
  const int copies = world_.Chance(15) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    if (world_.Chance(15)) continue;  // lost
    world_.After(world_.Latency(), [this, self = shared_from_this(), call, serve] {
      if (world_.scheduler() == nullptr) return;
      const Answer answer = serve(*world_.scheduler());
      world_.Settle();
      if (answer == nullptr || world_.Chance(15)) return;  // died in the call, or its reply is lost
      Later(world_.Latency(), [this, call, answer] {
        if (call != call_) return;
        ++call_;
        answer();
      });
    });
  }
  Later(world_.Between(5, 8), [this, call, what, serve] { Attempt(call, what, serve); });
}

void Learner::End(const std::string& what, const absl::Status& status) {
  Kill();
  world_.Tell(absl::StrCat(name_, " ends: ", what, ": ", status.ToString()));
  if (!absl::IsAborted(status)) {
    world_.history().Broken("a learner is only refused for another", status.ToString());
  }
  world_.LearnerEnded();
}

void Learner::Register() {
  Call("register", [this](Scheduler& scheduler) -> Answer {
    const auto epoch = scheduler.RegisterLearner(name_);
    if (!epoch.ok()) return nullptr;
    world_.history().Registered(name_, *epoch);
    return [this, epoch = *epoch] {
      epoch_ = epoch;
      world_.Tell(absl::StrCat(name_, " has epoch ", epoch));
      if (next_ == 0) return Ask();
      // The process before may have died between its checkpoint and its commit.
      Commit({.batch = next_ - 1, .version = {next_, testing::Digest(next_)}});
    };
  });
}

void Learner::Ask() {
  BatchRequest request{.batch = next_,
                       .version = {world_.published, testing::Digest(world_.published)},
                       .checkpoint_step = world_.checkpoint,
                       .replay = world_.published > next_,
                       .learner_epoch = epoch_};
  Call("ask", [this, request](Scheduler& scheduler) -> Answer {
    std::string reason;
    const absl::Status announced = scheduler.Announce(request);
    const auto batch = announced.ok() ? scheduler.AwaitBatch(request, absl::ZeroDuration(), &reason)
                                      : absl::StatusOr<std::optional<TrainingBatch>>(announced);
    if (absl::IsUnavailable(batch.status())) return nullptr;
    if (absl::IsOutOfRange(batch.status())) return [this] { finished_ = true; };
    if (!batch.ok()) return [this, status = batch.status()] { End("ask", status); };
    if (!batch->has_value()) {
      return [this] { Later(absl::Seconds(1), [this] { Ask(); }); };
    }
    world_.history().Delivered(request.learner_epoch, **batch);
    return [this, batch = **batch] {
      Later(world_.Between(0.5, 10), [this, batch] { Train(batch); });
    };
  });
}

void Learner::Train(const TrainingBatch& batch) {
  ++next_;
  BatchCommit commit{.batch = batch.batch, .version = {next_, testing::Digest(next_)}};
  commit.replayed = next_ <= world_.published;
  world_.published = std::max(world_.published, next_);
  if (batch.last || next_ % kCheckpointEvery == 0) {
    world_.checkpoint = std::max(world_.checkpoint, next_);
  }
  commit.statistics.loss = 0.5;
  Commit(commit);
}

void Learner::Commit(const BatchCommit& made) {
  BatchCommit commit = made;
  commit.checkpoint_step = world_.checkpoint;
  commit.learner_epoch = epoch_;
  Call("commit", [this, commit](Scheduler& scheduler) -> Answer {
    const auto reply = scheduler.Commit(commit);
    if (IsFinal(reply.status())) {
      return [this, status = reply.status()] { End("commit", status); };
    }
    if (!reply.ok()) return nullptr;
    world_.history().Committed(commit);
    return [this, finished = reply->finished && next_ >= world_.published] {
      if (finished) {
        finished_ = true;
      } else {
        Ask();
      }
    };
  });
}

}  // namespace attnrl::scheduler::simulation
