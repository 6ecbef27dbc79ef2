// SPDX-License-Identifier: Apache-2.0
// A worker and the weights that it needs: which it has, fetches, or can't have.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <variant>

#include "services/rollout_worker/work/testing/worker_fixture.h"

namespace attnrl::rollout {
namespace {

using scheduler::LeaseId;
using ::testing::ElementsAre;
using ::testing::StartsWith;

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

TEST_F(WorkerTest, GivesItsLeasesBackWithoutWeightsAndAsksAgainWhenTheyAreThere) {
  Start();
  Accept({}, /*lease_seconds=*/0.02);
  scheduler_.Push(MakeLease(1, 9));  // W(9) is not published
  const scheduler::GiveBack back = Next<scheduler::GiveBack>();
  EXPECT_THAT(back.leases, ElementsAre(LeaseId{1}));
  EXPECT_THAT(back.reason, StartsWith("no weights: W(9): "));
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
  EXPECT_THAT(back.reason, StartsWith("no weights: W(0): "));
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
