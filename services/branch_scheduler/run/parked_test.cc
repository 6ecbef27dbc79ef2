// SPDX-License-Identifier: Apache-2.0
// Work that no worker can do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "services/branch_scheduler/testing/run_bench.h"

namespace attnrl::scheduler::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Overlapped, two problems of two responses, branching at the earliest steps.
class ParkedWork : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(bench.Open(), absl::OkStatus());
    ASSERT_EQ(bench.AnnounceVersion(0), absl::OkStatus());
  }
  // The lowest open continuation, once everything before it is sampled and graded.
  ItemId FirstContinuation() {
    while (KeyOfItem(bench.open.begin()->first).kind == ItemKind::kInitial) {
      bench.SampleOne();
      bench.GradeOne();
    }
    return bench.open.begin()->first;
  }

  absl::Status Park(const std::vector<ItemId>& items) {
    return bench.InTransaction([&] {
      absl::Status parked;
      for (size_t i = 0; i < items.size() && parked.ok(); ++i) {
        parked = bench.run().Park(items[i], "out of memory");
      }
      return parked;
    });
  }

  RunBench bench{SimulationOptions{
      .criterion = tree::Criterion::kEarliest, .steps = 6, .problems = 2, .responses = 2}};
};

TEST_F(ParkedWork, IsNotRunnableThoughItWasNamedBefore) {
  const ItemId one = FirstContinuation();
  const ItemKey key = KeyOfItem(one);
  const ItemId other = IdOf({key.batch, key.position, 1 - key.response, ItemKind::kContinuation});
  ASSERT_EQ(bench.open.erase(one) + bench.open.erase(other), 2u);
  ASSERT_EQ(Park({one, other}), absl::OkStatus()) << "the first one names the other again";
  EXPECT_FALSE(bench.open.contains(one));
  EXPECT_FALSE(bench.open.contains(other));
}

TEST_F(ParkedWork, CountsAfterARestart) {
  // The first response of each problem of batch 0.
  std::vector<ItemId> items;
  std::set<uint32_t> positions;
  for (const auto& [id, unused] : bench.open) {
    const ItemKey key = KeyOfItem(id);
    if (key.batch == 0 && positions.insert(key.position).second) items.push_back(id);
  }
  ASSERT_EQ(items.size(), 2u);
  ASSERT_EQ(Park({items[0]}), absl::OkStatus());
  ASSERT_EQ(bench.Open(), absl::OkStatus());
  EXPECT_THAT(bench.run().Workers(), IsEmpty()) << "nobody is waited for";
  const absl::Status all = Park({items[1]});
  EXPECT_TRUE(IsInputError(all)) << all;
  EXPECT_THAT(std::string(all.message()), HasSubstr("workers failed at every problem"));
}

}  // namespace
}  // namespace attnrl::scheduler::testing
