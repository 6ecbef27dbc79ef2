// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/work/placement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "services/branch_scheduler/item_id.h"
#include "services/branch_scheduler/work/leases.h"

namespace attnrl::scheduler {
namespace {

constexpr absl::Duration kBegin = absl::Seconds(100);

ItemId Initial(uint32_t batch, uint32_t position) {
  return IdOf({.batch = batch, .position = position, .kind = ItemKind::kInitial});
}
ItemId Continuation(uint32_t batch, uint32_t position) {
  return IdOf({.batch = batch, .position = position, .kind = ItemKind::kContinuation});
}

TEST(Turn, OlderWeightsThenEarlierBatchesThenInitialResponsesThenTheLongestWork) {
  const std::vector<Turn> line = {
      {.version = 1, .item = Initial(3, 0), .size = {.tokens = 1}},
      {.version = 2, .item = Initial(2, 5), .size = {.tokens = 9}},
      {.version = 2, .item = Initial(2, 6), .size = {.tokens = 8}},
      {.version = 2, .item = Initial(2, 7), .size = {.tokens = 8}},
      {.version = 2, .item = Continuation(2, 0), .size = {.samples = 4, .tokens = 99}},
      {.version = 2, .item = Initial(3, 0), .size = {.tokens = 100}},
  };
  std::vector<Turn> mixed(line.rbegin(), line.rend());
  std::sort(mixed.begin(), mixed.end());
  for (size_t i = 0; i < line.size(); ++i) EXPECT_EQ(mixed[i].item, line[i].item) << i;
}

TEST(Load, IsTheShareInUseThenTheExpectedWorkThenTheName) {
  const Load load{.share = 0.5, .tokens = 50, .name = "b"};
  EXPECT_LT((Load{.share = 0.4, .tokens = 99, .name = "c"}), load);
  EXPECT_LT((Load{.share = 0.5, .tokens = 49, .name = "c"}), load);
  EXPECT_LT((Load{.share = 0.5, .tokens = 50, .name = "a"}), load);
}

TEST(StaysHome, UnlessItHasMuchMoreToDoOrFewItemsAreLeft) {
  const Load least{.share = 0.5};
  EXPECT_TRUE(StaysHome({.share = 0.75}, least, false));
  EXPECT_FALSE(StaysHome({.share = 0.8}, least, false));
  EXPECT_FALSE(StaysHome({.share = 0.6}, least, true));
}

Register Greeting(const std::string& name, uint32_t credits) {
  Register hello;
  hello.worker = name;
  hello.credits = credits;
  return hello;
}

std::map<std::string, uint64_t> CountByWorker(const std::vector<LeaseTable::Granted>& granted) {
  std::map<std::string, uint64_t> counts;
  for (const auto& each : granted) ++counts[each.worker];
  return counts;
}

TEST(Placement, ALargerItemThanTheOneBeforeTakesMoreOfTheCredits) {
  LeaseTable table({});
  ASSERT_TRUE(table.Connect(1, Greeting("a", 8), kBegin).ok());
  for (uint32_t i = 0; i < 10; ++i) table.Open(0, Continuation(0, i), {.samples = 4});
  EXPECT_EQ(table.Grant(kBegin).size(), 2u) << "nothing was said of samples: credits are for those";
  table.SetCredits("a", 4);  // two more, of the size that it knows now
  EXPECT_EQ(table.Grant(kBegin).size(), 2u);
  LeaseTable small({});
  ASSERT_TRUE(small.Connect(1, Greeting("a", 1), kBegin).ok());
  small.Open(0, Continuation(0, 1), {.samples = 4});
  EXPECT_EQ(small.Grant(kBegin).size(), 1u) << "an item that is larger than a worker is sampled";
}

TEST(Placement, AResultThatWasSentMakesRoomBeforeItIsDurable) {
  LeaseTable table({});
  ASSERT_TRUE(table.Connect(1, Greeting("a", 2), kBegin).ok());
  for (uint32_t i = 0; i < 10; ++i) table.Open(0, Initial(0, i));
  const auto granted = table.Grant(kBegin);
  ASSERT_EQ(granted.size(), 2u);
  table.NoteSent("b", granted[0].lease);
  EXPECT_TRUE(table.Grant(kBegin).empty()) << "it isn't b's";
  table.NoteSent("a", granted[0].lease);
  table.NoteSent("a", granted[0].lease);
  EXPECT_EQ(table.Grant(kBegin).size(), 1u);
  EXPECT_TRUE(table.Holds("a", granted[0].lease, granted[0].item)) << "it may still be written";
  table.Close(granted[0].item);
  EXPECT_TRUE(table.Grant(kBegin).empty());
  // As many as its credits may wait to be durable.
  for (int i = 0; i < 10; ++i) {
    for (const auto& each : table.Grant(kBegin)) table.NoteSent("a", each.lease);
    table.NoteSent("a", granted[1].lease);
  }
  EXPECT_LE(table.active_leases(), 4u);
}

TEST(Placement, TheLongestWorkGoesFirstAndTheTailIsSpread) {
  LeaseTable table({});
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    ASSERT_TRUE(table.Connect(static_cast<uint64_t>(name[0]), Greeting(name, 10), kBegin).ok());
  }
  // Of one problem, which would otherwise stay with one worker.
  for (uint32_t r = 0; r < 4; ++r) {
    table.Open(0, IdOf({.response = r, .kind = ItemKind::kContinuation}),
               {.samples = 2, .tokens = 100 + r});
  }
  const auto granted = table.Grant(kBegin);
  ASSERT_EQ(granted.size(), 4u);
  for (uint32_t i = 0; i < 4; ++i) EXPECT_EQ(KeyOfItem(granted[i].item).response, 3 - i);
  EXPECT_EQ(CountByWorker(granted).size(), 4u);
}

}  // namespace
}  // namespace attnrl::scheduler
