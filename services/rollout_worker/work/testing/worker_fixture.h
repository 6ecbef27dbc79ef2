// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "services/branch_scheduler/testing/fake_work_stream.h"
#include "services/learner/testing/fake_weight_client.h"
#include "services/rollout_worker/testing/fake_step_runner.h"
#include "services/rollout_worker/work/worker.h"

namespace attnrl::rollout {

inline constexpr absl::Duration kLimit = absl::Seconds(20);
inline constexpr int64_t kSlots = 4;

// Of one sample, whose node has the lease's number.
inline scheduler::Lease MakeLease(uint64_t number, uint32_t version = 0, uint32_t tokens = 5) {
  scheduler::Lease lease;
  lease.lease = scheduler::LeaseId{number};
  lease.item.item = scheduler::ItemId{number + 100};
  lease.item.version = {.number = version, .digest = "x"};
  lease.item.prompt_ids = {1, 2};
  lease.item.samples = {{.node = static_cast<uint32_t>(number), .max_new_tokens = tokens}};
  return lease;
}

// Long enough that it never ends within a test.
inline scheduler::Lease EndlessLease(uint64_t number) { return MakeLease(number, 0, 1u << 18); }

// A worker with an engine that computes nothing, whose scheduler and learner the test plays. W(0)
// to W(3) are published.
class WorkerTest : public ::testing::Test {
 protected:
  explicit WorkerTest(const Clock& clock = Clock::Real()) : clock_(clock) {}

  void SetUp() override {
    for (uint32_t version = 0; version < 4; ++version) Publish(version);
    MakeEngine(1 << 16);
    WeightKeeperOptions keeper;
    keeper.first_backoff = absl::Milliseconds(1);
    keeper.max_backoff = absl::Milliseconds(10);
    keeper.set = [this](uint32_t version, Weights weights) {
      engine_->SetWeights(version, std::move(weights));
    };
    keeper.drop = [this](uint32_t version) { engine_->DropWeights(version); };
    keeper_ = std::make_unique<WeightKeeper>(
        keeper, store_,
        [this](const learner::VersionData& data) -> absl::StatusOr<Weights> {
          if (!can_load_) return absl::InternalError("the GPU: an illegal address");
          return FakeStepRunner::Weights(data.version.number);
        },
        clock_);
  }

  void MakeEngine(int64_t blocks) {
    EngineOptions engine;
    engine.stepper = {.slots = kSlots, .max_tokens = 1 << 19};
    auto runner = std::make_unique<FakeStepRunner>(blocks, 8);
    runner_ = runner.get();
    engine_ = Engine::Start(engine, std::move(runner));
  }

  void Publish(uint32_t version) {
    learner::VersionData data;
    data.version = {.number = version, .digest = "x"};
    store_.Publish(data);
  }

  void Start(absl::Duration drain_limit = kLimit) {
    WorkerOptions options;
    options.name = "worker-7";
    options.numerics_id = "test numerics";
    options.slots = kSlots;
    options.max_tokens = 1 << 19;
    options.vocabulary = runner_->vocabulary();
    options.drain_limit = drain_limit;
    options.first_backoff = absl::Milliseconds(1);
    worker_ = std::make_unique<Worker>(options, scheduler_, *engine_, *keeper_, clock_);
    thread_ = std::thread([this] { status_ = worker_->Run(); });
  }

  void TearDown() override {
    if (worker_) worker_->Drain();
    if (thread_.joinable()) {
      // A test that leaves results unacknowledged must not wait for them.
      scheduler_.RefuseOpen(absl::FailedPreconditionError("the test is over"));
      scheduler_.Break(absl::FailedPreconditionError("the test is over"));
      thread_.join();
    }
    engine_->Stop();
  }

  absl::Status Join() {
    thread_.join();
    return status_;
  }

  // The next message of type M; others in between are passed over.
  template <typename M>
  M Next() {
    while (true) {
      std::optional<scheduler::WorkerMessage> message = scheduler_.AwaitSent(kLimit);
      if (!message) {
        ADD_FAILURE() << "the worker sent nothing more";
        return M{};
      }
      if (M* found = std::get_if<M>(&*message)) return std::move(*found);
    }
  }

  scheduler::Register Accept(std::vector<scheduler::LeaseId> adopted = {},
                             double lease_seconds = 60) {
    scheduler::Register hello = Next<scheduler::Register>();
    scheduler_.Push(scheduler::Registered{1, std::move(adopted), lease_seconds});
    return hello;
  }

  const Clock& clock_;
  scheduler::FakeWorkConnector scheduler_;
  learner::FakeWeightClient store_;
  FakeStepRunner* runner_ = nullptr;  // the engine's
  std::atomic<bool> can_load_ = true;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<WeightKeeper> keeper_;
  std::unique_ptr<Worker> worker_;
  std::thread thread_;
  absl::Status status_;
};

}  // namespace attnrl::rollout
