// SPDX-License-Identifier: Apache-2.0
#include "common/attention/fci/kernel.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "common/attention/fci/testing/random_passes.h"
#include "common/attention/fci/testing/reference.h"
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

struct Sums {
  std::vector<float> out;
  std::vector<double> sums;
  bool operator==(const Sums&) const = default;
};

Sums RunPlan(const FciKernel& kernel, const FciPlan& plan, int64_t head_dim, bool with_output) {
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
  Sums result = {.out = std::vector<float>(size, -7.0F),
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
      const Sums expected = RunPlan(*AllFciKernels().front(), plan, head_dim, true);
      for (const FciKernel* kernel : AllFciKernels()) {
        EXPECT_EQ(RunPlan(*kernel, plan, head_dim, true), expected) << kernel->isa;
      }
    }
  }
}

TEST(FciKernel, SumsAreTheSameWithoutOutput) {
  const FciPlan plan(EqualSteps(100, 7), 1);
  const Sums with = RunPlan(GetFciKernel(), plan, 16, true);
  const Sums without = RunPlan(GetFciKernel(), plan, 16, false);
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

TEST(FciPlan, CoversEveryRowOnceInPiecesThatCrossNoTileAndNoStep) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    SCOPED_TRACE(seed);
    RandomStream random({.seed = seed});
    const auto count = static_cast<int64_t>(1 + random.Below(20));
    const auto steps = RandomSteps(random, count, seed % 2 == 0 ? 12 : 150).steps;
    const auto delta = static_cast<int64_t>(random.Below(5));
    const FciPlan plan(steps, delta);
    ASSERT_EQ(plan.steps(), count);
    ASSERT_EQ(plan.rows(), steps.back().second);
    int64_t end = 0;
    for (int64_t tile = 0; tile < plan.tiles(); ++tile) {
      ASSERT_LT(plan.first_piece(tile), plan.first_piece(tile + 1)) << "a tile without pieces";
      for (int64_t p = plan.first_piece(tile); p < plan.first_piece(tile + 1); ++p) {
        const FciPiece& piece = plan.pieces()[static_cast<size_t>(p)];
        const auto& [first, last] = steps[static_cast<size_t>(piece.step)];
        EXPECT_EQ(piece.begin, end);
        EXPECT_LT(piece.begin, piece.end);
        EXPECT_EQ(piece.begin / kFciKeys, tile);
        EXPECT_EQ((piece.end - 1) / kFciKeys, tile);
        EXPECT_TRUE(first <= piece.begin && piece.end <= last);
        end = piece.end;
      }
    }
    EXPECT_EQ(end, plan.rows());
    EXPECT_EQ(plan.first_piece(plan.tiles()), static_cast<int64_t>(plan.pieces().size()));
    for (int64_t step = 0; step < count; ++step) {
      const auto& [first, last] = steps[static_cast<size_t>(step)];
      const bool followed = step + delta < count;
      EXPECT_EQ(plan.first_query(step),
                followed ? steps[static_cast<size_t>(step + delta)].first : plan.rows());
      for (int64_t row = first; row < last; ++row) {
        EXPECT_EQ(plan.query_share()[row], 1.0F / static_cast<float>(last - first));
      }
    }
    for (int64_t row = plan.rows(); row < plan.blocks() * kFciQueries; ++row) {
      EXPECT_EQ(plan.query_share()[row], 0) << "a query that there is not";
    }
  }
}

class FciKernels : public testing::TestWithParam<const FciKernel*> {};

// Blocks in any order add the same sums to where they are added.
TEST_P(FciKernels, AreTheReferenceAtTheEdgesOfBlocksAndTiles) {
  RandomStream random({.seed = 5});
  for (const int64_t rows : {1, 2, 31, 32, 33, 63, 64, 65, 95, 96, 97, 127, 128, 129}) {
    for (const int64_t head_dim : {1, 7, 16, 24}) {
      SCOPED_TRACE(testing::Message() << rows << " rows of " << head_dim);
      const FciSequence sequence = {.steps = EqualSteps(rows, 1 + rows / 7)};
      const FciOptions options = {.delta = rows % 3};
      const FciLayer layer = RandomLayer(random, sequence, {1, 1, head_dim}, 2);
      const FciLayerResult expected = FciReference(layer, sequence, options);
      const FciPlan plan(sequence.steps, options.delta);

      std::vector<double> sums(sequence.steps.size(), 0.0);
      std::vector<float> out(layer.q.size() + 1, -7.0F);
      std::vector<float> scratch(static_cast<size_t>(FciScratch(plan, head_dim)), NAN);
      FciBlock block{.plan = &plan, .head_dim = head_dim};
      block.scale = 1.0F / std::sqrt(static_cast<float>(head_dim));
      block.q = layer.q.data();
      block.k = layer.k.data();
      block.v = layer.v.data();
      block.out = out.data();
      block.q_stride = block.k_stride = block.v_stride = block.out_stride = head_dim;
      block.sums = sums.data();
      block.scratch = scratch.data();
      for (block.block = plan.blocks() - 1; block.block >= 0; --block.block) {
        GetParam()->run(block);
      }
      for (size_t i = 0; i < expected.rows.size(); ++i) {
        ASSERT_NEAR(out[i], expected.rows[i], 3e-6) << i;
      }
      EXPECT_EQ(out.back(), -7.0F) << "written behind the last row";
      for (size_t step = 2; step < sums.size(); ++step) {
        const auto [first, last] = sequence.steps[step];
        EXPECT_NEAR(sums[step] / static_cast<double>(last - first), expected.scores[step], 3e-6)
            << step;
      }
    }
  }
}

TEST_P(FciKernels, ReadAndWriteRowsThatLieApart) {
  RandomStream random({.seed = 6});
  constexpr int64_t kHeadDim = 12;
  const FciSequence sequence = RandomSteps(random, 9, 15);
  const int64_t rows = sequence.steps.back().second;
  const FciLayer layer = RandomLayer(random, sequence, {1, 1, kHeadDim}, 2);
  const FciLayerResult expected = FciReference(layer, sequence, {.delta = 1});
  const FciPlan plan(sequence.steps, 1);
  // Each row again behind `gap` elements that nobody may use.
  const auto apart = [&](const std::vector<float>& x, int64_t gap) {
    std::vector<float> wide;
    for (int64_t row = 0; row < rows; ++row) {
      wide.insert(wide.end(), x.begin() + row * kHeadDim, x.begin() + (row + 1) * kHeadDim);
      wide.insert(wide.end(), static_cast<size_t>(gap), NAN);
    }
    return wide;
  };
  const std::vector<float> q = apart(layer.q, 3);
  const std::vector<float> k = apart(layer.k, 20);
  const std::vector<float> v = apart(layer.v, 1);
  std::vector<float> out(static_cast<size_t>(rows * (kHeadDim + 5)), -7.0F);
  std::vector<double> sums(sequence.steps.size(), 0.0);
  std::vector<float> scratch(static_cast<size_t>(FciScratch(plan, kHeadDim)));
  FciBlock block{.plan = &plan, .head_dim = kHeadDim, .scale = 1.0F / std::sqrt(12.0F)};
  block.q = q.data();
  block.k = k.data();
  block.v = v.data();
  block.out = out.data();
  block.q_stride = kHeadDim + 3;
  block.k_stride = kHeadDim + 20;
  block.v_stride = kHeadDim + 1;
  block.out_stride = kHeadDim + 5;
  block.sums = sums.data();
  block.scratch = scratch.data();
  for (; block.block < plan.blocks(); ++block.block) GetParam()->run(block);
  for (size_t i = 0; i < out.size(); ++i) {
    const size_t row = i / (kHeadDim + 5);
    const size_t element = i % (kHeadDim + 5);
    const bool gap = element >= kHeadDim;
    ASSERT_NEAR(out[i], gap ? -7.0 : expected.rows[row * kHeadDim + element], 3e-6) << i;
  }
  for (size_t step = 2; step < sums.size(); ++step) {
    const auto [first, last] = sequence.steps[step];
    EXPECT_NEAR(sums[step] / static_cast<double>(last - first), expected.scores[step], 3e-6);
  }
}

INSTANTIATE_TEST_SUITE_P(Isa, FciKernels, testing::ValuesIn(AllFciKernels()),
                         [](const auto& test) { return std::string(test.param->isa); });

}  // namespace
}  // namespace attnrl::attention
