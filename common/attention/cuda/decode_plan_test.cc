// SPDX-License-Identifier: Apache-2.0
#include "common/attention/cuda/decode_plan.h"

#include <gtest/gtest.h>

#include <vector>

#include "common/attention/cuda/testing/paged_case.h"

namespace attnrl::attention {
namespace {

// What every plan must hold: each row meets each of its stretches once, in one part a unit.
void ExpectEveryStretchOnce(const PagedCase<float>& of) {
  const auto rows = static_cast<size_t>(of.plan.rows());
  std::vector<int64_t> keys(rows, 0);
  std::vector<std::vector<int32_t>> parts(rows);
  for (const DecodeUnit& unit : of.decode.units()) {
    EXPECT_LE(unit.rows * of.shape.repeats(), kDecodeQueries);
    EXPECT_LE(unit.tasks, kUnitTasks);
    for (int32_t i = 0; i < unit.rows; ++i) {
      const auto row = static_cast<size_t>(unit.first_row + i);
      parts[row].push_back(unit.first_part + i);
      for (int32_t t = unit.first_task; t < unit.first_task + unit.tasks; ++t) {
        const BlockTask& task = of.plan.tasks()[static_cast<size_t>(t)];
        EXPECT_GE(unit.first_row, task.first_row);
        EXPECT_LE(unit.first_row + unit.rows, task.first_row + task.rows);
        const int32_t seen = of.plan.visible()[row] - task.base;
        keys[row] += std::max(0, std::min(seen, kBlockTokens));
      }
    }
  }
  std::vector<bool> used(static_cast<size_t>(of.decode.parts()), false);
  for (size_t row = 0; row < rows; ++row) {
    EXPECT_EQ(keys[row], of.plan.visible()[row]);
    const auto first = of.decode.part_of().begin() + of.decode.first_part()[row];
    const auto last = of.decode.part_of().begin() + of.decode.first_part()[row + 1];
    EXPECT_EQ(std::vector<int32_t>(first, last), parts[row]);
    for (const int32_t part : parts[row]) {
      EXPECT_FALSE(used[static_cast<size_t>(part)]);
      used[static_cast<size_t>(part)] = true;
    }
  }
  EXPECT_EQ(std::count(used.begin(), used.end(), false), 0);
}

TEST(DecodePlan, MeetsEveryStretchOfEveryRowOnce) {
  for (const int64_t repeats : {1, 3, 7, 8, 16}) {
    const PagedShape shape{.heads = repeats, .kv_heads = 1, .head_dim = 64};
    ExpectEveryStretchOnce({shape,
                            {{.tokens = 1300, .rows = 70},
                             {.shared = 1100, .tokens = 2000},
                             {.shared = 1100, .tokens = 1101},
                             {.shared = 7, .tokens = 8},
                             {.shared = 1200, .tokens = 1310, .rows = 9}}});
  }
}

TEST(DecodePlan, PutsSiblingsIntoUnitsTogetherAsFarAsTheyShareBlocks) {
  std::vector<PagedSequence> sequences = {{.tokens = 513}};
  for (int i = 0; i < 7; ++i) sequences.push_back({.shared = 512, .tokens = 513});
  const PagedShape shape{.heads = 2, .kv_heads = 1, .head_dim = 64};
  const PagedCase<float> of(shape, sequences);
  // 16 stretches of eight rows, two queries each, and one stretch of each row alone.
  ASSERT_EQ(of.decode.units().size(), 1 + 8);
  EXPECT_EQ(of.decode.units()[0].rows, 8);
  EXPECT_EQ(of.decode.units()[0].tasks, 16);
  EXPECT_EQ(of.decode.parts(), 16);
}

TEST(DecodePlan, CutsLongSequences) {
  const PagedCase<float> of({.heads = 2, .kv_heads = 1, .head_dim = 64}, {{.tokens = 1025}});
  ASSERT_EQ(of.decode.units().size(), 3U);
  EXPECT_EQ(of.decode.units()[1].first_task, kUnitTasks);
  EXPECT_EQ(of.decode.units()[2].tasks, 1);
}

TEST(DecodePlan, LeavesRowsOutOfUnitsThatOthersShare) {
  // Eight siblings of two queries each, of which the third and fourth go elsewhere.
  std::vector<PagedSequence> sequences = {{.tokens = 513}};
  for (int i = 0; i < 7; ++i) sequences.push_back({.shared = 512, .tokens = 513});
  const PagedCase<float> of({.heads = 2, .kv_heads = 1, .head_dim = 64}, sequences);
  DecodePlan decode;
  decode.Build(of.plan, 2, {false, false, true, true, false, false, false, false});
  ASSERT_EQ(decode.units().size(), 2 + 6);
  EXPECT_EQ(decode.units()[0].rows, 2);
  EXPECT_EQ(decode.units()[1].first_row, 4);
  EXPECT_EQ(decode.units()[1].rows, 4);
  EXPECT_EQ(decode.parts(), 2 * 6);
  EXPECT_EQ(decode.first_part(), (std::vector<int32_t>{0, 2, 4, 4, 4, 6, 8, 10, 12}));
}

TEST(DecodePlan, IsEmptyForAPassWithoutRows) {
  AttentionPlan plan;
  plan.Build({});
  DecodePlan decode;
  decode.Build(plan, 4);
  EXPECT_TRUE(decode.units().empty());
  EXPECT_EQ(decode.parts(), 0);
}

}  // namespace
}  // namespace attnrl::attention
