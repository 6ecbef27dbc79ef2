// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/work/worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "services/rollout_worker/work/testing/worker_fixture.h"

namespace attnrl::rollout {
namespace {

using scheduler::LeaseId;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

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

TEST_F(WorkerTest, GivesAnItemBackAsFailedThatItCannotRunAndGoesOn) {
  Start();
  Accept();
  scheduler_.Push(MakeLease(1, 0, 1u << 26));
  const auto back = Next<scheduler::GiveBack>();
  EXPECT_THAT(back.leases, ElementsAre(LeaseId{1}));
  EXPECT_TRUE(back.failed);
  EXPECT_EQ(back.reason,
            "item 101 of batch 0: a sequence of up to 67108866 tokens; at most 524288 are allowed");
  scheduler_.Push(MakeLease(2));
  EXPECT_EQ(Next<scheduler::ItemResult>().lease, LeaseId{2});
}

TEST_F(WorkerTest, GivesAnItemBackAsFailedThatTheKvCacheCannotHoldAndGoesOn) {
  MakeEngine(/*blocks=*/8);
  Start();
  Accept();
  scheduler_.Push(EndlessLease(1));
  const auto back = Next<scheduler::GiveBack>();
  EXPECT_THAT(back.leases, ElementsAre(LeaseId{1}));
  EXPECT_TRUE(back.failed);
  EXPECT_EQ(back.reason,
            "item 101: a sequence of 262146 tokens takes 8195 blocks of the KV cache, which has 8");
  scheduler_.Push(MakeLease(2));
  EXPECT_EQ(Next<scheduler::ItemResult>().lease, LeaseId{2});
}

TEST_F(WorkerTest, GivesAnItemBackAsFailedWhoseLogitsAreNotFiniteAndGoesOn) {
  runner_->Poison(5);
  Start();
  Accept();
  scheduler_.Push(MakeLease(1));
  Next<scheduler::ItemResult>();  // the weights are sound
  scheduler::Lease poisoned = MakeLease(2);
  poisoned.item.prompt_ids = {5};
  poisoned.item.samples.push_back({.node = 9, .max_new_tokens = 5});
  scheduler_.Push(poisoned);
  const auto back = Next<scheduler::GiveBack>();
  EXPECT_THAT(back.leases, ElementsAre(LeaseId{2}));
  EXPECT_TRUE(back.failed);
  EXPECT_EQ(back.reason, "item 102: the model's logits are not finite for this sequence");
  scheduler_.Push(MakeLease(3));
  EXPECT_EQ(Next<scheduler::ItemResult>().lease, LeaseId{3});
}

TEST_F(WorkerTest, LeavesWithWeightsThatHaveGivenNoFiniteLogits) {
  runner_->Poison(1);
  Start();
  Accept();
  scheduler_.Push(MakeLease(1));
  EXPECT_FALSE(Next<scheduler::GiveBack>().failed) << "another process may do it right";
  const absl::Status status = Join();
  EXPECT_TRUE(absl::IsInternal(status));
  EXPECT_EQ(status.message(), "the model's logits are not finite for any sequence so far");
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

}  // namespace
}  // namespace attnrl::rollout
