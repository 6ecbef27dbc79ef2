// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/work/worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>
#include <utility>

#include "services/branch_scheduler/testing/fake_work_stream.h"
#include "services/learner/testing/fake_weight_client.h"
#include "services/rollout_worker/testing/fake_step_runner.h"

namespace attnrl::rollout {
namespace {

using scheduler::LeaseId;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr absl::Duration kLimit = absl::Seconds(20);
constexpr int64_t kSlots = 4;

scheduler::Lease MakeLease(uint64_t number, uint32_t version = 0, uint32_t tokens = 5) {
  scheduler::Lease lease;
  lease.lease = LeaseId{number};
  lease.item.item = scheduler::ItemId{number + 100};
  lease.item.version = {.number = version, .digest = "x"};
  lease.item.prompt_ids = {1, 2};
  lease.item.samples = {{.node = static_cast<uint32_t>(number), .max_new_tokens = tokens}};
  return lease;
}

// Long enough that it never ends within a test.
scheduler::Lease EndlessLease(uint64_t number) { return MakeLease(number, 0, 1u << 18); }

class WorkerTest : public ::testing::Test {
 protected:
  explicit WorkerTest(const Clock& clock = Clock::Real()) : clock_(clock) {}

  void SetUp() override {
    for (uint32_t version = 0; version < 4; ++version) Publish(version);
    EngineOptions engine;
    engine.stepper = {.slots = kSlots, .max_tokens = 1 << 19};
    auto runner = std::make_unique<FakeStepRunner>(1 << 16, 8);
    runner_ = runner.get();
    engine_ = Engine::Start(engine, std::move(runner));
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

  scheduler::Register Accept(std::vector<LeaseId> adopted = {}, double lease_seconds = 60) {
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

TEST_F(WorkerTest, SaysWhoItIsAndWhatItCanDo) {
  Start();
  const scheduler::Register hello = Accept();
  EXPECT_EQ(hello.worker, "worker-7");
  EXPECT_EQ(hello.numerics_id, "test numerics");
  EXPECT_EQ(hello.capacity, 4u);
  EXPECT_GT(hello.credits, 0u);
  EXPECT_THAT(hello.held, IsEmpty());
}

TEST_F(WorkerTest, SendsTheResultOfALease) {
  Start();
  Accept();
  scheduler_.Push(MakeLease(1, 2));
  const scheduler::ItemResult result = Next<scheduler::ItemResult>();
  EXPECT_EQ(result.lease, LeaseId{1});
  EXPECT_EQ(result.item, scheduler::ItemId{101});
  EXPECT_EQ(result.version.number, 2u);
  ASSERT_EQ(result.samples.size(), 1u);
  EXPECT_EQ(result.samples[0].token_ids.size(), 5u);
  EXPECT_EQ(result.samples[0].finish, scheduler::FinishReason::kLength);
  EXPECT_LE(result.span.start, result.span.end);
}

TEST_F(WorkerTest, GrantsCreditsForFullSlots) {
  Start();
  EXPECT_EQ(Accept().credits, 1u);  // 4 samples, guessed to come in items of 4
  scheduler_.Push(EndlessLease(1));
  EXPECT_EQ(Next<scheduler::Credits>().outstanding, 4u);
}

TEST_F(WorkerTest, SendsAnUnacknowledgedResultAgainOnANewStream) {
  Start();
  Accept();
  scheduler_.Push(MakeLease(1));
  const scheduler::ItemResult first = Next<scheduler::ItemResult>();
  scheduler_.Break(absl::UnavailableError("restart"));
  const scheduler::Register hello = Accept({LeaseId{1}});
  ASSERT_EQ(hello.held.size(), 1u);
  EXPECT_EQ(hello.held[0].lease, LeaseId{1});
  EXPECT_EQ(hello.held[0].item, scheduler::ItemId{101});
  EXPECT_EQ(Next<scheduler::ItemResult>(), first);
  scheduler_.Push(scheduler::Ack{.lease = LeaseId{1}});
  scheduler_.Push(MakeLease(2));
  Next<scheduler::ItemResult>();
  scheduler_.Break(absl::UnavailableError("restart"));
  const scheduler::Register again = Accept({LeaseId{2}});
  ASSERT_EQ(again.held.size(), 1u);  // 1 was acknowledged and is gone
  EXPECT_EQ(again.held[0].lease, LeaseId{2});
}

TEST_F(WorkerTest, GoesOnWithALeaseWhoseStreamBrokeInTheMiddle) {
  Start();
  Accept();
  engine_->Pause();
  scheduler_.Push(MakeLease(1));
  Next<scheduler::Credits>();  // the lease has arrived
  scheduler_.Break(absl::UnavailableError("restart"));
  const scheduler::Register hello = Accept({LeaseId{1}});
  ASSERT_EQ(hello.held.size(), 1u);
  engine_->Resume();
  EXPECT_EQ(Next<scheduler::ItemResult>().lease, LeaseId{1});
}

TEST_F(WorkerTest, DropsWhatTheSchedulerNoLongerLeasesToIt) {
  Start();
  Accept();
  for (uint64_t lease = 1; lease <= kSlots; ++lease) scheduler_.Push(EndlessLease(lease));
  Next<scheduler::Credits>();
  scheduler_.Break(absl::UnavailableError("restart"));
  Accept({});
  scheduler_.Push(MakeLease(9));  // finds a slot: the endless ones are gone
  EXPECT_EQ(Next<scheduler::ItemResult>().lease, LeaseId{9});
}

TEST_F(WorkerTest, DropsAFencedResult) {
  Start();
  Accept();
  scheduler_.Push(MakeLease(1));
  Next<scheduler::ItemResult>();
  scheduler_.Push(scheduler::Ack{LeaseId{1}, scheduler::AckVerdict::kFenced, "expired"});
  scheduler_.Push(MakeLease(2));
  Next<scheduler::ItemResult>();
  scheduler_.Break(absl::UnavailableError("restart"));
  const scheduler::Register hello = Accept({LeaseId{2}});
  ASSERT_EQ(hello.held.size(), 1u);
  EXPECT_EQ(hello.held[0].lease, LeaseId{2});
}

TEST_F(WorkerTest, StopsWorkingOnACancelledLease) {
  Start();
  Accept();
  for (uint64_t lease = 1; lease <= kSlots; ++lease) scheduler_.Push(EndlessLease(lease));
  scheduler_.Push(scheduler::Cancel{{LeaseId{1}, LeaseId{2}}});
  scheduler_.Push(MakeLease(9));
  EXPECT_EQ(Next<scheduler::ItemResult>().lease, LeaseId{9});
}

TEST_F(WorkerTest, RenewsItsLeasesBeforeTheyEnd) {
  Start();
  Accept({}, 0.15);
  scheduler_.Push(EndlessLease(1));
  scheduler_.Push(EndlessLease(2));
  scheduler::Renew renew = Next<scheduler::Renew>();
  if (renew.leases.size() < 2) renew = Next<scheduler::Renew>();
  EXPECT_THAT(renew.leases, UnorderedElementsAre(LeaseId{1}, LeaseId{2}));
}

TEST_F(WorkerTest, ADrainGivesBackWhatIsUnfinishedAndWaitsForTheRest) {
  Start();
  Accept();
  scheduler_.Push(MakeLease(1));
  Next<scheduler::ItemResult>();
  scheduler_.Push(EndlessLease(2));
  worker_->Drain();
  scheduler_.Push(EndlessLease(3));
  // Whether they were there already or only on their way.
  std::vector<LeaseId> given_back;
  while (given_back.size() < 2 && !HasFailure()) {
    for (const LeaseId lease : Next<scheduler::GiveBack>().leases) given_back.push_back(lease);
  }
  EXPECT_THAT(given_back, UnorderedElementsAre(LeaseId{2}, LeaseId{3}));
  EXPECT_FALSE(scheduler_.left());
  scheduler_.Push(scheduler::Ack{.lease = LeaseId{1}});
  EXPECT_TRUE(Join().ok());
  // The scheduler's end of the stream is the proof that what was given back has arrived.
  EXPECT_TRUE(scheduler_.left());
}

TEST_F(WorkerTest, ADrainDoesNotWaitForEver) {
  Start(absl::Milliseconds(50));
  Accept();
  scheduler_.Push(MakeLease(1));
  Next<scheduler::ItemResult>();
  worker_->Drain();
  EXPECT_TRUE(Join().ok());
}

TEST_F(WorkerTest, LeavesWhenTheSchedulerSaysSo) {
  Start();
  Accept();
  scheduler_.Push(scheduler::DrainWorker{});
  EXPECT_TRUE(Join().ok());
}

TEST_F(WorkerTest, EndsWhenTheSchedulerRefusesIt) {
  Start();
  Next<scheduler::Register>();
  scheduler_.Break(absl::FailedPreconditionError("numerics 'a' instead of 'b'"));
  EXPECT_EQ(Join().message(), "numerics 'a' instead of 'b'");
}

TEST_F(WorkerTest, EndsWhenItsCertificateMayNotWork) {
  scheduler_.RefuseOpen(absl::PermissionDeniedError("the role learner may not"));
  Start();
  EXPECT_EQ(Join().message(), "the role learner may not");
}

TEST_F(WorkerTest, KeepsTryingWhileTheSchedulerIsAway) {
  scheduler_.RefuseOpen(absl::UnavailableError("nobody there"));
  Start();
  EXPECT_EQ(scheduler_.AwaitSent(absl::Milliseconds(30)), std::nullopt);
  scheduler_.RefuseOpen(absl::OkStatus());
  EXPECT_EQ(Accept().worker, "worker-7");
}

TEST_F(WorkerTest, TriesAgainWhenWeightsCannotBeFetched) {
  store_.FailFetches(3, absl::UnavailableError("the learner restarts"));
  Start();
  Accept();
  scheduler_.Push(MakeLease(1, 1));
  EXPECT_EQ(Next<scheduler::ItemResult>().version.number, 1u);
  EXPECT_EQ(store_.fetches(), 4);
}

TEST_F(WorkerTest, WorksOnSeveralVersionsOneAfterAnother) {
  Start();
  Accept();
  for (uint64_t lease = 1; lease <= 8; ++lease) {
    scheduler_.Push(MakeLease(lease, static_cast<uint32_t>(lease % 3 + 1)));
  }
  for (int i = 0; i < 8; ++i) {
    const scheduler::ItemResult result = Next<scheduler::ItemResult>();
    EXPECT_EQ(result.version.number, scheduler::Number(result.lease) % 3 + 1);
    scheduler_.Push(scheduler::Ack{.lease = result.lease});
  }
}

TEST_F(WorkerTest, FetchesTheNextVersionAhead) {
  Start();
  Accept();
  scheduler_.Push(scheduler::Prefetch{{.number = 3, .digest = "x"}});
  scheduler_.Push(MakeLease(1, 3));
  Next<scheduler::ItemResult>();
  EXPECT_EQ(store_.fetches(), 1);
}

TEST_F(WorkerTest, LeavesWithAnItemThatItCannotRun) {
  Start();
  Accept();
  scheduler_.Push(MakeLease(1, 0, 1u << 26));
  EXPECT_THAT(Next<scheduler::GiveBack>().leases, ElementsAre(LeaseId{1}));
  EXPECT_THAT(Join().message(), HasSubstr("item 101 of batch 0: a sequence of up to"));
}

TEST_F(WorkerTest, GivesAnItemBackAsFailedWhoseResultIsTooLargeToBeSentAndGoesOn) {
  scheduler_.RefuseResults(absl::OutOfRangeError("the result is too large"));
  Start();
  Accept();
  scheduler_.Push(MakeLease(1));
  const auto back = Next<scheduler::GiveBack>();
  EXPECT_THAT(back.leases, ElementsAre(LeaseId{1}));
  EXPECT_TRUE(back.failed);
  EXPECT_EQ(back.reason, "the result is too large");
  scheduler_.RefuseResults(absl::OkStatus());
  scheduler_.Push(MakeLease(2));
  EXPECT_EQ(Next<scheduler::ItemResult>().lease, LeaseId{2});
  scheduler_.Break(absl::UnavailableError("restart"));
  EXPECT_EQ(Accept({LeaseId{2}}).held.size(), 1u) << "it is not sent again";
}

TEST_F(WorkerTest, GivesItsLeasesBackWithoutWeightsAndAsksAgainWhenTheyAreThere) {
  Start();
  Accept({}, /*lease_seconds=*/0.02);
  scheduler_.Push(MakeLease(1, 9));  // W(9) is not published
  const scheduler::GiveBack back = Next<scheduler::GiveBack>();
  EXPECT_THAT(back.leases, ElementsAre(LeaseId{1}));
  EXPECT_THAT(back.reason, ::testing::StartsWith("no weights: W(9): "));
  scheduler_.Push(MakeLease(2, 9));
  EXPECT_THAT(Next<scheduler::GiveBack>().leases, ElementsAre(LeaseId{2})) << "it rests";
  Publish(9);
  while (Next<scheduler::Credits>().outstanding == 0 && !HasFailure()) {
  }
}

// W(0) can't be had, W(1) can, and the scheduler has named it. Nothing passes but what the test
// advances.
class WithoutWeightsTest : public WorkerTest {
 protected:
  WithoutWeightsTest() : WorkerTest(fake_) {}

  void SetUp() override {
    WorkerTest::SetUp();
    store_.Remove(0);
    Start();
    Accept({}, /*lease_seconds=*/60);
    Look();
  }
  // Wakes the worker, which looks at its clock.
  void Look() { scheduler_.Push(scheduler::Prefetch{{.number = 1, .digest = "x"}}); }
  // W(0) has not come, and W(1) has.
  void AwaitFetches() {
    const auto done = [&] { return !keeper_->troubles().empty() && keeper_->Holds({1, "x"}); };
    for (int i = 0; i < 20'000 && !done(); ++i) absl::SleepFor(absl::Milliseconds(1));
    ASSERT_TRUE(done());
  }
  // The most credits that the worker asks for before it renews its leases.
  uint32_t CreditsUntilRenewal() {
    uint32_t most = 0;
    while (true) {
      const std::optional<scheduler::WorkerMessage> message = scheduler_.AwaitSent(kLimit);
      if (!message) ADD_FAILURE() << "no renewal";
      if (!message || std::holds_alternative<scheduler::Renew>(*message)) return most;
      if (const auto* credits = std::get_if<scheduler::Credits>(&*message)) {
        most = std::max(most, credits->outstanding);
      }
    }
  }

  FakeClock fake_;
};

TEST_F(WithoutWeightsTest, GivesBackOnlyWhatItLacksWeightsFor) {
  scheduler_.Push(MakeLease(1, 1, 1u << 18));
  scheduler_.Push(MakeLease(2, 0));
  AwaitFetches();
  fake_.Advance(absl::Seconds(30));
  Look();
  const scheduler::GiveBack back = Next<scheduler::GiveBack>();
  EXPECT_THAT(back.leases, ElementsAre(LeaseId{2}));
  EXPECT_THAT(back.reason, ::testing::StartsWith("no weights: W(0): "));
  scheduler_.Push(MakeLease(3, 1));  // it was on its way
  EXPECT_EQ(Next<scheduler::ItemResult>().lease, LeaseId{3});
}

TEST_F(WithoutWeightsTest, AsksForNothingThoughNewerOnesAreThereAndTriesAgainAfterALeaseTime) {
  scheduler_.Push(MakeLease(1, 0));
  AwaitFetches();
  fake_.Advance(absl::Seconds(30));
  Look();
  EXPECT_THAT(Next<scheduler::GiveBack>().leases, ElementsAre(LeaseId{1}));
  Next<scheduler::Renew>();
  fake_.Advance(absl::Seconds(30));
  Look();
  EXPECT_EQ(CreditsUntilRenewal(), 0u);
  fake_.Advance(absl::Seconds(30));
  Look();
  EXPECT_GT(CreditsUntilRenewal(), 0u) << "nobody may need W(0) any more";
  // Somebody does: no second patience with it.
  scheduler_.Push(MakeLease(2, 0));
  EXPECT_THAT(Next<scheduler::GiveBack>().leases, ElementsAre(LeaseId{2}));
  Publish(0);
  while (Next<scheduler::Credits>().outstanding == 0 && !HasFailure()) {
  }
  scheduler_.Push(MakeLease(3, 0));
  EXPECT_EQ(Next<scheduler::ItemResult>().lease, LeaseId{3});
}

TEST_F(WorkerTest, HandsOnWhatIsNotFinishedInItsTime) {
  Start();
  Accept();
  scheduler::Lease late = EndlessLease(1);
  late.limit_seconds = 0.02;
  scheduler_.Push(late);
  scheduler_.Push(EndlessLease(2));
  const scheduler::GiveBack back = Next<scheduler::GiveBack>();
  EXPECT_THAT(back.leases, ElementsAre(LeaseId{1}));
  EXPECT_TRUE(back.late);
  EXPECT_FALSE(back.failed);
  // Its slot is free: credits don't count the lease any more, and what comes now is done.
  scheduler_.Push(MakeLease(3));
  EXPECT_EQ(Next<scheduler::ItemResult>().lease, LeaseId{3});
}

TEST_F(WorkerTest, ReportsTheTokensOfItsLeases) {
  Start();
  Accept({}, /*lease_seconds=*/0.03);
  scheduler_.Push(EndlessLease(1));
  uint64_t tokens = 0;
  while (tokens == 0 && !HasFailure()) {
    const scheduler::Renew renew = Next<scheduler::Renew>();
    ASSERT_EQ(renew.tokens.size(), renew.leases.size());
    if (!renew.tokens.empty()) tokens = renew.tokens[0];
  }
  EXPECT_GT(tokens, 0u);
}

TEST_F(WorkerTest, LeavesWhenItsResultsAreOfNoUse) {
  Start();
  Accept();
  scheduler_.Push(MakeLease(1));
  Next<scheduler::ItemResult>();
  scheduler_.Push(EndlessLease(2));
  scheduler_.Push(scheduler::Ack{LeaseId{1}, scheduler::AckVerdict::kInvalid, "other steps"});
  EXPECT_THAT(Next<scheduler::GiveBack>().leases, ElementsAre(LeaseId{2}));
  const absl::Status status = Join();
  EXPECT_TRUE(absl::IsInternal(status)) << "another process may do it right";
  EXPECT_EQ(status.message(), "the scheduler can't use this worker's results: other steps");
}

TEST_F(WorkerTest, GivesItsLeasesBackWhenTheModelCanNotBeRunAnyMore) {
  runner_->FailNext(absl::InternalError("the GPU: an illegal address"));
  Start();
  Accept();
  scheduler_.Push(EndlessLease(1));
  const scheduler::GiveBack back = Next<scheduler::GiveBack>();
  EXPECT_THAT(back.leases, ElementsAre(LeaseId{1}));
  EXPECT_FALSE(back.failed) << "another process may do it right";
  EXPECT_EQ(back.reason, "the GPU: an illegal address");
  EXPECT_TRUE(absl::IsInternal(Join()));
}

TEST_F(WorkerTest, GivesItsLeasesBackWhenNoModelCanBeMadeAnyMore) {
  can_load_ = false;
  Start();
  Accept();
  scheduler_.Push(EndlessLease(1));
  const scheduler::GiveBack back = Next<scheduler::GiveBack>();
  EXPECT_THAT(back.leases, ElementsAre(LeaseId{1}));
  EXPECT_EQ(back.reason, "the GPU: an illegal address");
  EXPECT_TRUE(absl::IsInternal(Join()));
}

}  // namespace
}  // namespace attnrl::rollout
