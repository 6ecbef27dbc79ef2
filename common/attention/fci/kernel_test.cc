// SPDX-License-Identifier: Apache-2.0
#include "common/attention/fci/kernel.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "common/base/philox.h"

namespace attnrl::attention {
namespace {

using testing::Each;
using testing::ElementsAre;

std::vector<std::pair<int64_t, int64_t>> EqualSteps(int64_t rows, int64_t size) {
  std::vector<std::pair<int64_t, int64_t>> steps;
  for (int64_t begin = 0; begin < rows; begin += size) {
    steps.emplace_back(begin, std::min(rows, begin + size));
  }
  return steps;
}

struct Result {
  std::vector<float> out;
  std::vector<double> sums;
  bool operator==(const Result&) const = default;
};

Result RunPlan(const FciKernel& kernel, const FciPlan& plan, int64_t head_dim, bool with_output) {
  RandomStream random({.seed = 3});
  const auto size = static_cast<size_t>(plan.rows() * head_dim);
  const auto draw = [&] {
    std::vector<float> values(size);
    for (float& value : values) value = static_cast<float>(4 * random.Uniform() - 2);
    return values;
  };
  const std::vector<float> q = draw();
  const std::vector<float> k = draw();
  const std::vector<float> v = draw();
  Result result = {.out = std::vector<float>(size, -7.0F),
                   .sums = std::vector<double>(static_cast<size_t>(plan.steps()), 0.0)};
  std::vector<float> scratch(static_cast<size_t>(FciScratch(plan, head_dim)));
  FciBlock block{.plan = &plan, .head_dim = head_dim, .scale = 0.3F};
  block.q = q.data();
  block.k = k.data();
  block.v = v.data();
  block.out = with_output ? result.out.data() : nullptr;
  block.q_stride = block.k_stride = block.v_stride = block.out_stride = head_dim;
  block.sums = result.sums.data();
  block.scratch = scratch.data();
  for (; block.block < plan.blocks(); ++block.block) kernel.run(block);
  return result;
}

TEST(FciKernel, EveryInstructionSetGivesTheSameBits) {
  for (const int64_t size : {1, 30, 100}) {
    for (const int64_t head_dim : {8, 20}) {
      const FciPlan plan(EqualSteps(211, size), 2);
      const Result expected = RunPlan(*AllFciKernels().front(), plan, head_dim, true);
      for (const FciKernel* kernel : AllFciKernels()) {
        EXPECT_EQ(RunPlan(*kernel, plan, head_dim, true), expected) << kernel->isa;
      }
    }
  }
}

TEST(FciKernel, SumsAreTheSameWithoutOutput) {
  const FciPlan plan(EqualSteps(100, 7), 1);
  const Result with = RunPlan(GetFciKernel(), plan, 16, true);
  const Result without = RunPlan(GetFciKernel(), plan, 16, false);
  EXPECT_EQ(with.sums, without.sums);
  EXPECT_THAT(without.out, Each(-7.0F));
}

// With delta 0 every query counts for every step, so each step of queries gives away exactly 1.
TEST(FciKernel, SumsOverAllStepsAddUpToTheNumberOfSteps) {
  for (const int64_t size : {1, 13, 64}) {
    const FciPlan plan(EqualSteps(int64_t{64} * 5, size), 0);
    double total = 0;
    for (const double sum : RunPlan(GetFciKernel(), plan, 16, true).sums) total += sum;
    EXPECT_NEAR(total, static_cast<double>(plan.steps()), 1e-4);
  }
}

TEST(FciPlan, CutsStepsAtTheBoundariesOfTiles) {
  const std::vector<std::pair<int64_t, int64_t>> steps = {{0, 10}, {10, 64}, {64, 200}};
  const FciPlan plan(steps, 1);
  std::vector<std::vector<int64_t>> pieces;
  for (const FciPiece& piece : plan.pieces())
    pieces.push_back({piece.begin, piece.end, piece.step});
  EXPECT_THAT(pieces,
              ElementsAre(ElementsAre(0, 10, 0), ElementsAre(10, 64, 1), ElementsAre(64, 128, 2),
                          ElementsAre(128, 192, 2), ElementsAre(192, 200, 2)));
  EXPECT_EQ(plan.tiles(), 4);
  EXPECT_EQ(plan.first_piece(1), 2);
  EXPECT_EQ(plan.first_piece(4), 5);
  EXPECT_EQ(plan.first_query(1), 64);
  EXPECT_EQ(plan.first_query(2), 200) << "no step far enough behind";
}

}  // namespace
}  // namespace attnrl::attention
