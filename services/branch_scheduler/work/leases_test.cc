// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/work/leases.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "services/branch_scheduler/item_id.h"

namespace attnrl::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Register Hello(const std::string& name, uint32_t credits, std::vector<LeaseRef> held = {}) {
  Register hello;
  hello.worker = name;
  hello.capacity = credits;
  hello.credits = credits;
  hello.numerics_id = "avx2/float32";
  hello.held = std::move(held);
  return hello;
}

constexpr absl::Duration kStart = absl::ZeroDuration();

constexpr ItemId Item(uint64_t number) { return ItemId{number}; }
constexpr LeaseId LeaseOf(uint64_t epoch, uint64_t counter) {
  return LeaseId{epoch << 32 | counter};
}

TEST(ItemId, IsReversibleAndOrdersByBatchPositionResponseKind) {
  const ItemKey key{3, 70'000, 1'000, ItemKind::kContinuation};
  EXPECT_EQ(KeyOfItem(IdOf(key)), key);
  EXPECT_LT(IdOf({0, 5, 5, ItemKind::kContinuation}), IdOf({1, 0, 0, ItemKind::kInitial}));
  EXPECT_LT(IdOf({1, 0, 5, ItemKind::kInitial}), IdOf({1, 1, 0, ItemKind::kInitial}));
  EXPECT_GT(IdOf({0, 0, 0, ItemKind::kInitial}), ItemId{0});
}

TEST(LeaseTable, HandsOutOlderVersionsFirst) {
  LeaseTable table({});
  table.Open(2, Item(10));
  table.Open(1, Item(20));
  table.Open(1, Item(16));
  ASSERT_TRUE(table.Connect(1, Hello("a", 10), kStart).ok());
  std::vector<ItemId> items;
  for (const auto& grant : table.Grant(kStart)) items.push_back(grant.item);
  EXPECT_THAT(items, ElementsAre(Item(16), Item(20), Item(10)));
}

TEST(LeaseTable, NeverExceedsCredits) {
  LeaseTable table({});
  for (uint64_t item = 1; item <= 9; ++item) table.Open(0, Item(item));
  ASSERT_TRUE(table.Connect(1, Hello("a", 2), kStart).ok());
  EXPECT_EQ(table.Grant(kStart).size(), 2u);
  EXPECT_THAT(table.Grant(kStart), IsEmpty());
  table.SetCredits("a", 5);
  EXPECT_EQ(table.Grant(kStart).size(), 3u);
  EXPECT_EQ(table.open_items(), 9u);
}

TEST(LeaseTable, KnowsALeaseOfAnEarlierSchedulerFromOneThatWasLost) {
  LeaseTable table({.epoch = 2});
  EXPECT_FALSE(table.Holds("a", LeaseOf(1, 1), Item(10)));
  EXPECT_EQ(table.counters().fenced, 1u);
  EXPECT_EQ(table.counters().fenced_epoch, 1u);
  EXPECT_FALSE(table.Holds("a", LeaseOf(2, 1), Item(10)));
  EXPECT_EQ(table.counters().fenced, 2u);
  EXPECT_EQ(table.counters().fenced_epoch, 1u);
}

TEST(LeaseTable, SharesWorkByCredits) {
  LeaseTable table({});
  for (uint64_t problem = 1; problem <= 9; ++problem) table.Open(0, Item(problem << 12));
  ASSERT_TRUE(table.Connect(1, Hello("a", 100), kStart).ok());
  ASSERT_TRUE(table.Connect(2, Hello("b", 50), kStart).ok());
  table.Grant(kStart);
  EXPECT_EQ(table.Workers(absl::ZeroDuration())[0].leases, 6u);
  EXPECT_EQ(table.Workers(absl::ZeroDuration())[1].leases, 3u);
}

TEST(LeaseTable, GivesTheItemsOfAProblemToOneWorker) {
  LeaseTable table({});
  ASSERT_TRUE(table.Connect(1, Hello("a", 100), kStart).ok());
  ASSERT_TRUE(table.Connect(2, Hello("b", 100), kStart).ok());
  for (uint64_t problem = 1; problem <= 8; ++problem) {
    for (uint64_t item = 0; item < 6; ++item) table.Open(0, Item((problem << 12) + item));
  }
  std::map<uint64_t, std::set<std::string>> workers;
  for (const auto& granted : table.Grant(kStart)) {
    workers[ProblemOf(granted.item)].insert(granted.worker);
    if (ProblemOf(granted.item) < 5) table.Close(granted.item);
  }
  for (const auto& [problem, names] : workers) EXPECT_EQ(names.size(), 1u) << problem;
  EXPECT_EQ(table.Workers(absl::ZeroDuration())[0].leases,
            table.Workers(absl::ZeroDuration())[1].leases)
      << "problems are spread";
  // Continuations of a problem whose first items are done.
  const std::string home = *workers[2].begin();
  table.Open(0, Item((2 << 12) + 100));
  table.Open(0, Item((2 << 12) + 102));
  EXPECT_EQ(table.Grant(kStart).at(0).worker, home);
}

TEST(LeaseTable, ABusyWorkerGetsNoMoreForTheProblemsSake) {
  LeaseTable table({});
  ASSERT_TRUE(table.Connect(1, Hello("a", 8), kStart).ok());
  ASSERT_TRUE(table.Connect(2, Hello("b", 8), kStart).ok());
  for (uint64_t item = 0; item < 9; ++item) table.Open(0, Item((1 << 12) + item));
  table.Grant(kStart);
  EXPECT_EQ(table.Workers(absl::ZeroDuration())[0].leases, 4u)
      << "with three it is a quarter of its credits ahead, and the last item goes to the emptiest";
  EXPECT_EQ(table.Workers(absl::ZeroDuration())[1].leases, 5u) << "and the problem goes on there";
}

TEST(LeaseTable, AnExpiredLeaseIsHandedOutAgainAndItsOldHolderFenced) {
  LeaseTable table({.lease = absl::Seconds(60)});
  table.Open(0, Item(7));
  ASSERT_TRUE(table.Connect(1, Hello("zombie", 1), kStart).ok());
  const LeaseId old = table.Grant(kStart)[0].lease;
  EXPECT_THAT(table.Expire(absl::Seconds(59)), IsEmpty());
  EXPECT_EQ(table.Expire(absl::Seconds(60)).size(), 1u);
  ASSERT_TRUE(table.Connect(2, Hello("b", 1), absl::Seconds(60)).ok());
  const auto again = table.Grant(absl::Seconds(60));
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].worker, "b");
  EXPECT_FALSE(table.Holds("zombie", old, Item(7)));
  EXPECT_EQ(table.counters().fenced, 1u);
  EXPECT_TRUE(table.Holds("b", again[0].lease, Item(7)));
  EXPECT_FALSE(table.Holds("b", again[0].lease, Item(8))) << "another item under the same lease";
}

TEST(LeaseTable, AWorkerThatLetALeaseExpireGetsNothingUntilItSpeaks) {
  LeaseTable table({.lease = absl::Seconds(60)});
  table.Open(0, Item(7));
  ASSERT_TRUE(table.Connect(1, Hello("a", 1), kStart).ok());
  table.Grant(kStart);
  table.Expire(absl::Seconds(60));
  EXPECT_THAT(table.Grant(absl::Seconds(60)), IsEmpty());
  table.SetCredits("a", 1);
  EXPECT_EQ(table.Grant(absl::Seconds(61)).size(), 1u);
}

TEST(LeaseTable, APauseOfTheSchedulerIsNobodysSilence) {
  LeaseTable table({});
  table.Open(0, Item(1));
  ASSERT_TRUE(table.Connect(1, Hello("a", 1), kStart).ok());
  ASSERT_EQ(table.Grant(kStart).size(), 1u);
  table.Extend(absl::Hours(1));
  EXPECT_THAT(table.Expire(absl::Hours(1) + absl::Seconds(59)), IsEmpty());
  EXPECT_EQ(table.Expire(absl::Hours(1) + absl::Seconds(60)).size(), 1u);
}

TEST(LeaseTable, RenewingKeepsALeaseAndNamesThoseThatAreLost) {
  LeaseTable table({.lease = absl::Seconds(60)});
  table.Open(0, Item(7));
  ASSERT_TRUE(table.Connect(1, Hello("a", 1), kStart).ok());
  const LeaseId lease = table.Grant(kStart)[0].lease;
  EXPECT_THAT(table.Renew("a", {lease, LeaseId{99}}, absl::Seconds(50)), ElementsAre(LeaseId{99}));
  EXPECT_THAT(table.Expire(absl::Seconds(70)), IsEmpty());
  EXPECT_THAT(table.Renew("b", {lease}, absl::Seconds(70)), ElementsAre(lease));
  EXPECT_EQ(table.Expire(absl::Seconds(110)).size(), 1u);
}

TEST(LeaseTable, AWorkerThatRenewsWithoutProgressLosesItsLeasesToAnotherAndIsParked) {
  LeaseTable table({.lease = absl::Seconds(60), .stall = absl::Seconds(100)});
  table.Open(0, Item(7));
  table.Open(0, Item(8));
  ASSERT_TRUE(table.Connect(1, Hello("a", 2), kStart).ok());
  const auto granted = table.Grant(kStart);
  ASSERT_EQ(granted.size(), 2u);
  const std::vector<LeaseId> leases = {granted[0].lease, granted[1].lease};
  ASSERT_TRUE(table.Connect(2, Hello("b", 2), kStart).ok());
  for (int second = 20; second <= 80; second += 20) {
    EXPECT_THAT(table.Renew("a", leases, absl::Seconds(second), {0, 0}), IsEmpty());
    EXPECT_THAT(table.Expire(absl::Seconds(second)), IsEmpty());
  }
  EXPECT_EQ(table.Expire(absl::Seconds(100)).size(), 2u);
  EXPECT_EQ(table.Workers(absl::ZeroDuration())[0].parked, "no token in 1m40s with 2 leases");
  std::vector<LeaseId> of_b;
  for (const auto& again : table.Grant(absl::Seconds(100))) {
    EXPECT_EQ(again.worker, "b");
    of_b.push_back(again.lease);
  }
  EXPECT_EQ(table.active_leases(), 2u);
  table.Open(0, Item(9));
  EXPECT_THAT(table.Grant(absl::Seconds(150)), IsEmpty()) << "b is full, a parked";
  table.Renew("b", of_b, absl::Seconds(150), {3, 0});
  table.Renew("a", {}, absl::Seconds(190));
  table.Expire(absl::Seconds(199));
  EXPECT_THAT(table.Grant(absl::Seconds(199)), IsEmpty());
  table.Expire(absl::Seconds(200));
  EXPECT_EQ(table.Grant(absl::Seconds(200)).size(), 1u) << "it may have been mended";
}

TEST(LeaseTable, AnyTokenAnyResultAndWorkersThatDontCountAreProgress) {
  LeaseTable table({.lease = absl::Seconds(60), .stall = absl::Seconds(100)});
  for (uint32_t r = 1; r <= 3; ++r) table.Open(0, Item(r));
  ASSERT_TRUE(table.Connect(1, Hello("a", 3), kStart).ok());
  const auto granted = table.Grant(kStart);
  ASSERT_EQ(granted.size(), 3u);
  const std::vector<LeaseId> leases = {granted[0].lease, granted[1].lease};
  table.Renew("a", leases, absl::Seconds(50), {0, 1});
  table.Expire(absl::Seconds(50));  // the third lease is still good
  table.Close(granted[2].item);
  table.Renew("a", leases, absl::Seconds(100), {0, 1});
  EXPECT_THAT(table.Expire(absl::Seconds(140)), IsEmpty()) << "an item was finished since";
  table.Renew("a", leases, absl::Seconds(150), {0, 1});
  table.Renew("a", leases, absl::Seconds(200));
  EXPECT_THAT(table.Expire(absl::Seconds(250)), IsEmpty()) << "it does not count";
}

TEST(LeaseTable, SaysWhichLeaseIsHeldLongest) {
  LeaseTable table({});
  EXPECT_FALSE(table.oldest(kStart).has_value());
  table.Open(0, Item(7));
  ASSERT_TRUE(table.Connect(1, Hello("a", 1), kStart).ok());
  const LeaseId lease = table.Grant(kStart)[0].lease;
  table.Renew("a", {lease}, kStart + absl::Seconds(5), {12});
  const auto oldest = table.oldest(kStart + absl::Seconds(9));
  ASSERT_TRUE(oldest.has_value());
  EXPECT_EQ(oldest->worker, "a");
  EXPECT_EQ(oldest->item, Item(7));
  EXPECT_EQ(oldest->age, absl::Seconds(9));
  EXPECT_EQ(oldest->tokens, 12u);
}

TEST(LeaseTable, GivenBackWorkIsHandedOutAtOnce) {
  LeaseTable table({});
  table.Open(0, Item(7));
  ASSERT_TRUE(table.Connect(1, Hello("a", 1), kStart).ok());
  const LeaseId lease = table.Grant(kStart)[0].lease;
  EXPECT_EQ(table.GiveBack("b", {lease}), 0u);
  EXPECT_EQ(table.GiveBack("a", {lease, LeaseId{1234}}), 1u);
  EXPECT_NE(table.Grant(kStart)[0].lease, lease);
}

TEST(LeaseTable, LateWorkGoesToAnotherWorkerWithTwiceTheTime) {
  LeaseTable table({.item_limit = absl::Seconds(5)});
  table.Open(0, Item(7));
  ASSERT_TRUE(table.Connect(1, Hello("a", 9), kStart).ok());
  auto granted = table.Grant(kStart);
  EXPECT_EQ(granted[0].limit, absl::Seconds(5));
  ASSERT_TRUE(table.Connect(2, Hello("b", 1), kStart).ok());
  EXPECT_EQ(table.GiveBack("a", {granted[0].lease}, /*late=*/true), 1u);
  granted = table.Grant(kStart);
  ASSERT_EQ(granted.size(), 1u);
  EXPECT_EQ(granted[0].worker, "b") << "a has more credits, but was late";
  EXPECT_EQ(granted[0].limit, absl::Seconds(10));
  table.Close(Item(7));
  table.Open(0, Item(7));
  EXPECT_EQ(table.Grant(kStart)[0].limit, absl::Seconds(5)) << "another item of that number";
}

TEST(LeaseTable, LateWorkComesBackWhereThereIsNoOtherWorker) {
  LeaseTable table({.item_limit = absl::Seconds(5)});
  table.Open(0, Item(7));
  ASSERT_TRUE(table.Connect(1, Hello("a", 1), kStart).ok());
  table.GiveBack("a", {table.Grant(kStart)[0].lease}, /*late=*/true);
  const auto granted = table.Grant(kStart);
  ASSERT_EQ(granted.size(), 1u);
  EXPECT_EQ(granted[0].limit, absl::Seconds(10));
}

TEST(LeaseTable, LateWorkComesBackWhereEveryOtherWorkerTakesNothing) {
  LeaseTable table({.item_limit = absl::Seconds(5), .stall = absl::Seconds(20)});
  ASSERT_TRUE(table.Connect(1, Hello("a", 2), kStart).ok());
  ASSERT_TRUE(table.Connect(2, Hello("b", 0), kStart).ok());  // rests, without weights say
  table.Open(0, Item(7));
  table.GiveBack("a", {table.Grant(kStart)[0].lease}, /*late=*/true);
  auto granted = table.Grant(kStart);
  ASSERT_EQ(granted.size(), 1u) << "b takes nothing";
  EXPECT_EQ(granted[0].worker, "a");

  // Nor while it is parked: it lets its leases stall.
  table.SetCredits("a", 0);
  table.SetCredits("b", 1);
  table.Open(0, Item(8));
  ASSERT_EQ(table.Grant(kStart).size(), 1u);
  table.GiveBack("a", {granted[0].lease}, /*late=*/true);
  table.SetCredits("a", 2);
  EXPECT_THAT(table.Grant(kStart), IsEmpty()) << "b has its hands full, but may take it";
  EXPECT_EQ(table.Expire(kStart + absl::Seconds(20)).size(), 1u);
  table.Renew("b", {}, kStart + absl::Seconds(20));
  std::set<std::string> takers;
  for (const auto& each : table.Grant(kStart + absl::Seconds(20))) takers.insert(each.worker);
  EXPECT_THAT(takers, ElementsAre("a"));
  EXPECT_EQ(table.ready_items(), 0u);
}

TEST(LeaseTable, AWorkerThatLeavesHoldsNothingAnyMore) {
  LeaseTable table({});
  table.Open(0, Item(7));
  ASSERT_TRUE(table.Connect(1, Hello("a", 1), kStart).ok());
  table.Grant(kStart);
  EXPECT_EQ(table.Leave("a"), 0u) << "it wants credits, so its connection broke";
  table.SetCredits("a", 0);
  EXPECT_EQ(table.Leave("a"), 1u);
  EXPECT_EQ(table.ready_items(), 1u);
  EXPECT_EQ(table.Leave("nobody"), 0u);
}

TEST(LeaseTable, ARestartedWorkerLosesWhatItNoLongerHolds) {
  LeaseTable table({});
  table.Open(0, Item(7));
  table.Open(0, Item(8));
  ASSERT_TRUE(table.Connect(1, Hello("a", 2), kStart).ok());
  const auto granted = table.Grant(kStart);
  table.Disconnect(1, kStart);
  auto adopted = table.Connect(2, Hello("a", 2, {{granted[0].lease, granted[0].item}}), kStart);
  ASSERT_TRUE(adopted.ok());
  EXPECT_THAT(*adopted, ElementsAre(granted[0].lease));
  EXPECT_EQ(table.ready_items(), 1u);
  table.Disconnect(1, kStart);  // the old stream's end comes late: the new stream stays
  EXPECT_EQ(table.Workers(absl::ZeroDuration()).size(), 1u);
}

TEST(LeaseTable, ABrokenStreamShortensLeases) {
  LeaseTable table({.lease = absl::Seconds(60), .disconnect_grace = absl::Seconds(10)});
  table.Open(0, Item(7));
  ASSERT_TRUE(table.Connect(1, Hello("a", 1), kStart).ok());
  table.Grant(kStart);
  table.Disconnect(1, absl::Seconds(5));
  EXPECT_THAT(table.Expire(absl::Seconds(14)), IsEmpty());
  EXPECT_EQ(table.Expire(absl::Seconds(15)).size(), 1u);
}

TEST(LeaseTable, ARestartedSchedulerAdoptsWhatWorkersHold) {
  LeaseTable table({.epoch = 2});
  table.Open(0, Item(7));
  table.Open(0, Item(8));
  const LeaseId old = LeaseOf(1, 5), older = LeaseOf(1, 4);
  auto adopted =
      table.Connect(1, Hello("a", 2, {{old, Item(7)}, {LeaseOf(1, 6), Item(99)}}), kStart);
  ASSERT_TRUE(adopted.ok());
  EXPECT_THAT(*adopted, ElementsAre(old)) << "item 99 is not open";
  EXPECT_TRUE(table.Holds("a", old, Item(7)));
  auto late = table.Connect(2, Hello("b", 2, {{older, Item(7)}}), kStart);
  ASSERT_TRUE(late.ok());
  EXPECT_THAT(*late, IsEmpty()) << "the item has a holder";
}

TEST(LeaseTable, NeverAdoptsALeaseOfItsOwnEpochThatItTookAway) {
  LeaseTable table({.lease = absl::Seconds(60), .epoch = 2});
  table.Open(0, Item(7));
  ASSERT_TRUE(table.Connect(1, Hello("a", 1), kStart).ok());
  const LeaseId lease = table.Grant(kStart)[0].lease;
  table.Expire(absl::Seconds(60));
  auto adopted = table.Connect(2, Hello("a", 0, {{lease, Item(7)}}), absl::Seconds(61));
  ASSERT_TRUE(adopted.ok());
  EXPECT_THAT(*adopted, IsEmpty());
}

TEST(LeaseTable, ADeterministicRunRefusesAMixedSetOfWorkers) {
  LeaseTable table({.same_numerics = true});
  ASSERT_TRUE(table.Connect(1, Hello("a", 1), kStart).ok());
  Register other = Hello("b", 1);
  other.numerics_id = "avx512/float32";
  const auto refused = table.Connect(2, other, kStart);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(table.Workers(absl::ZeroDuration()).size(), 1u);
}

TEST(LeaseTable, RemembersABoundedNumberOfHomesWhicheverProblemComesNext) {
  LeaseTable table({.max_credits = 1 << 20});
  ASSERT_TRUE(table.Connect(1, Hello("a", 1 << 20), kStart).ok());
  constexpr uint32_t kProblems = (1 << 16) + 2;
  for (uint32_t i = 0; i < kProblems; ++i) {
    // The last ones are the first by number.
    table.Open(0, IdOf({1, kProblems - 1 - i, 0, ItemKind::kInitial}));
    const auto granted = table.Grant(kStart);
    ASSERT_EQ(granted.size(), 1u);
    ASSERT_EQ(granted[0].worker, "a");
  }
}

TEST(LeaseTable, AClosedItemIsGoneWithItsLease) {
  LeaseTable table({});
  table.Open(0, Item(7));
  ASSERT_TRUE(table.Connect(1, Hello("a", 1), kStart).ok());
  const LeaseId lease = table.Grant(kStart)[0].lease;
  table.Close(Item(7));
  EXPECT_EQ(table.open_items(), 0u);
  EXPECT_FALSE(table.Holds("a", lease, Item(7)));
  EXPECT_EQ(table.counters().completed, 1u);
}

}  // namespace
}  // namespace attnrl::scheduler
