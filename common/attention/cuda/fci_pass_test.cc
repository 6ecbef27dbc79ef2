// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "common/attention/cuda/fci_kernel.h"
#include "common/attention/cuda/testing/fci_case.h"
#include "common/attention/fci/testing/reference.h"
#include "common/base/philox.h"
#include "common/kernels/cuda/testing/emulator.h"

namespace attnrl::attention {
namespace {

using cuda::BFloat16;
using cuda::ThreadOrder;

constexpr int64_t kHeads = 6;
constexpr int64_t kKvHeads = 2;

// The scores of two layers of all sequences, as the reference has them and as the kernels do.
template <typename T, int kHeadDim>
void ExpectTheDefinition(const std::vector<FciSequence>& sequences, int64_t delta) {
  RandomStream random({.seed = 21});
  FciTiles tiles({.delta = delta});
  std::vector<double> expected;
  for (const FciSequence& sequence : sequences) {
    tiles.Add(sequence);
    expected.resize(expected.size() + sequence.steps.size(), 0);
  }
  std::vector<std::vector<float>> scores(
      3, std::vector<float>(static_cast<size_t>(tiles.scores()), 0.0F));
  for (int layer = 0; layer < 2; ++layer) {
    FciLayer all;
    std::vector<float> lse;
    size_t first_score = 0;
    for (const FciSequence& sequence : sequences) {
      const int64_t rows = sequence.steps.back().second;
      const FciLayer one = RandomLayer<T>(random, rows, {kHeads, kKvHeads, kHeadDim});
      const std::vector<double> of = FciReference(one, sequence, {.delta = delta}).scores;
      for (const double score : of) {
        expected[first_score] = std::max(expected[first_score], score);
        ++first_score;
      }
      all.q.insert(all.q.end(), one.q.begin(), one.q.end());
      all.k.insert(all.k.end(), one.k.begin(), one.k.end());
      const std::vector<float> own = LogSumExp(one, rows);
      lse.insert(lse.end(), own.begin(), own.end());
    }
    const std::vector<T> q = To<T>(all.q);
    const std::vector<T> k = To<T>(all.k);
    const auto rows = static_cast<int64_t>(tiles.share().size());
    for (size_t order = 0; order < 3; ++order) {
      std::vector<double> columns(static_cast<size_t>(kHeads * rows), NAN);
      const FciPass<T> pass{.tiles = tiles.tiles().data(),
                            .first_query = tiles.first_query().data(),
                            .share = tiles.share().data(),
                            .steps = tiles.steps().data(),
                            .step_count = static_cast<int32_t>(tiles.steps().size()),
                            .q = q.data(),
                            .k = k.data(),
                            .lse = lse.data(),
                            .rows = rows,
                            .heads = kHeads,
                            .kv_heads = kKvHeads,
                            .scale = 1 / std::sqrt(static_cast<float>(kHeadDim)),
                            .columns = columns.data(),
                            .scores = scores[order].data()};
      const auto count = static_cast<int64_t>(tiles.tiles().size());
      const ThreadOrder threads = cuda::kAllOrders[order];
      ASSERT_TRUE((cuda::Emulate<FciColumns<T, kHeadDim>>({count, kHeads}, pass, threads).ok()));
      ASSERT_TRUE(cuda::Emulate<FciScores<T>>({(pass.step_count + 3) / 4}, pass, threads).ok());
    }
  }
  EXPECT_EQ(scores[1], scores[0]);
  EXPECT_EQ(scores[2], scores[0]);
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(scores[0][i], expected[i], 2e-6) << i;
  }
}

TEST(FciOnGpu, EqualsTheDefinitionAtTheEdgesOfTiles) {
  // Steps that end before, at and after a tile's end, and several tiles long.
  const std::vector<FciSequence> sequences = {Steps({20, 43, 1, 64, 1, 1, 5, 9}),
                                              Steps({5, 3, 130, 20, 7, 7}), Steps({1})};
  ExpectTheDefinition<float, 64>(sequences, 0);
  ExpectTheDefinition<BFloat16, 64>(sequences, 3);
}

TEST(FciOnGpu, EqualsTheDefinitionForHeadsOf128Elements) {
  ExpectTheDefinition<float, 128>({Steps({9, 9, 30, 50, 20})}, 2);
  ExpectTheDefinition<BFloat16, 128>({Steps({9, 9, 30, 50, 20})}, 2);
}

TEST(FciOnGpu, ScoresNothingFromTheEndOfThinkingOn) {
  FciSequence sequence = Steps({4, 4, 4, 4, 4, 4, 4});
  sequence.think_end_step = 3;
  ExpectTheDefinition<float, 64>({sequence}, 1);
  FciTiles tiles({.delta = 1});
  tiles.Add(sequence);
  ASSERT_EQ(tiles.steps().size(), 1U);
  EXPECT_EQ(tiles.steps()[0].score, 2);
}

TEST(FciTiles, SkipsTheQueriesThatCountForNoneOfItsKeys) {
  FciTiles tiles({.delta = 2});
  tiles.Add(Steps({64, 100, 64, 10}));
  ASSERT_EQ(tiles.tiles().size(), 4U);
  EXPECT_EQ(tiles.tiles()[0].first_query, 164);
  EXPECT_EQ(tiles.tiles()[1].first_query, 228);
  // For the last steps none counts.
  EXPECT_EQ(tiles.tiles()[3].first_query, 238);
  EXPECT_EQ(tiles.tiles()[3].end, 238);
}

}  // namespace
}  // namespace attnrl::attention
