// SPDX-License-Identifier: Apache-2.0
#include "common/attention/fci/fci.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/attention/fci/testing/random_passes.h"
#include "common/attention/fci/testing/reference.h"
#include "common/base/philox.h"

namespace attnrl::attention {
namespace {

using testing::ElementsAre;

class Fci : public testing::Test {
 protected:
  void TearDown() override { at::set_num_threads(threads_); }

  FciLayer RandomLayer(const FciSequence& sequence, const Shape& shape, double spread = 1) {
    return attention::RandomLayer(random_, sequence, shape, spread);
  }
  FciSequence RandomSteps(int64_t count, int64_t longest) {
    return attention::RandomSteps(random_, count, longest);
  }

  const int threads_ = at::get_num_threads();
  RandomStream random_{{.seed = 7}};
};

struct Result {
  at::Tensor rows;
  std::vector<std::vector<float>> scores;
};

// All sequences in one pass of two layers: the first gives rows, the last only scores.
Result RunLayers(const std::vector<FciSequence>& sequences, const std::vector<FciLayer>& layers,
                 const FciOptions& options, at::ScalarType dtype = at::kFloat,
                 FciAttention::Kernels kernels = FciAttention::Kernels::kBest) {
  FciAttention attention(sequences, 2, options, kernels);
  const at::Tensor rows = ForwardLayer(attention, 0, layers, dtype);
  EXPECT_EQ(rows.scalar_type(), dtype);
  EXPECT_FALSE(ForwardLayer(attention, 1, layers, dtype).defined());
  return {rows.to(at::kFloat).contiguous(), attention.Scores()};
}

bool SameBits(const Result& a, const Result& b) {
  return at::equal(a.rows, b.rows) && a.scores == b.scores;
}

TEST_F(Fci, AgreesWithTheReferenceForStepsOfAnySize) {
  const std::vector<Shape> shapes = {{1, 1, 8}, {4, 2, 16}, {6, 3, 20}, {4, 1, 64}};
  int64_t delta = 0;
  for (const Shape& shape : shapes) {
    for (const int64_t longest : {1, 3, 40, 150}) {
      const FciSequence sequence = RandomSteps(12, longest);
      const FciLayer layer = RandomLayer(sequence, shape, 2);
      const FciOptions options = {.delta = delta++ % 6};
      const FciLayerResult expected = FciReference(layer, sequence, options);
      const Result result = RunLayers({sequence}, {layer}, options);
      EXPECT_LT(Worst(result.rows, expected.rows), 3e-6) << shape.head_dim << " " << longest;
      EXPECT_LT(Worst(result.scores[0], expected.scores), 3e-6) << shape.head_dim << " " << longest;
      const double most = *std::max_element(expected.scores.begin(), expected.scores.end());
      EXPECT_GT(most, 0.001) << "nothing to compare";
    }
  }
}

TEST_F(Fci, AgreesWithTheReferenceWhenEveryTokenIsAStep) {
  FciSequence sequence;
  for (int64_t i = 0; i < 200; ++i) sequence.steps.emplace_back(i, i + 1);
  const FciLayer layer = RandomLayer(sequence, {}, 2);
  const FciLayerResult expected = FciReference(layer, sequence, {});
  EXPECT_LT(Worst(RunLayers({sequence}, {layer}, {}).scores[0], expected.scores), 3e-6);
}

TEST_F(Fci, AgreesWithTheReferenceForStepsLongerThanTiles) {
  const FciSequence sequence = {
      .steps = {{0, 64}, {64, 200}, {200, 201}, {201, 401}, {401, 448}, {448, 449}}};
  const FciLayer layer = RandomLayer(sequence, {}, 2);
  const FciLayerResult expected = FciReference(layer, sequence, {.delta = 1});
  const Result result = RunLayers({sequence}, {layer}, {.delta = 1});
  EXPECT_LT(Worst(result.rows, expected.rows), 3e-6);
  EXPECT_LT(Worst(result.scores[0], expected.scores), 3e-6);
}

TEST_F(Fci, KeepsItsAccuracyWhereTheScoresOfLaterKeysDwarfThoseOfEarlierOnes) {
  const FciSequence sequence = RandomSteps(20, 20);
  FciLayer layer = RandomLayer(sequence, {2, 1, 16}, 1);
  const auto rows = static_cast<size_t>(sequence.steps.back().second);
  for (float& q : layer.q) q = std::abs(q) * 8;
  for (size_t row = 0; row < rows; ++row) {
    for (size_t d = 0; d < 16; ++d) layer.k[row * 16 + d] += 0.1F * static_cast<float>(row);
  }
  const FciLayerResult expected = FciReference(layer, sequence, {.delta = 0});
  const Result result = RunLayers({sequence}, {layer}, {.delta = 0});
  EXPECT_LT(Worst(result.rows, expected.rows), 1e-4);
  EXPECT_LT(Worst(result.scores[0], expected.scores), 1e-4);
}

TEST_F(Fci, TakesTheMaximumOverLayersAndZeroesFromTheEndOfThinkingOn) {
  FciSequence sequence = RandomSteps(15, 9);
  sequence.think_end_step = 7;
  const FciLayer layer = RandomLayer(sequence, {}, 2);
  const std::vector<float> scores = RunLayers({sequence}, {layer}, {}).scores[0];
  EXPECT_LT(Worst(scores, FciReference(layer, sequence, {}).scores), 3e-6);
  for (size_t step = 0; step < scores.size(); ++step) {
    EXPECT_EQ(scores[step] > 0, step >= 2 && step < 7) << step;
  }
}

TEST_F(Fci, ScoresAreZeroWhereNoStepIsFarEnoughBehind) {
  const FciSequence single = {.steps = {{0, 3}, {3, 9}}};
  EXPECT_THAT(RunLayers({single}, {RandomLayer(single, {})}, {}).scores[0], ElementsAre(0, 0));
  const FciSequence prompt = {.steps = {{0, 1}}};
  EXPECT_THAT(RunLayers({prompt}, {RandomLayer(prompt, {})}, {}).scores[0], ElementsAre(0));
  const FciSequence six = {.steps = {{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5}, {5, 6}}};
  EXPECT_THAT(RunLayers({six}, {RandomLayer(six, {})}, {.delta = 4}).scores[0],
              ElementsAre(0, 0, 0, 0, 0, 0));
  EXPECT_GT(RunLayers({six}, {RandomLayer(six, {})}, {.delta = 3}).scores[0][2], 0);
  EXPECT_THAT(RunLayers({six}, {RandomLayer(six, {})}, {.delta = INT64_MAX}).scores[0],
              ElementsAre(0, 0, 0, 0, 0, 0));
}

TEST_F(Fci, BitsDependNeitherOnThreadsNorOnCompany) {
  const std::vector<FciSequence> sequences = {RandomSteps(90, 12), RandomSteps(5, 3),
                                              RandomSteps(30, 20)};
  std::vector<FciLayer> layers;
  for (const FciSequence& sequence : sequences) layers.push_back(RandomLayer(sequence, {}, 2));
  at::set_num_threads(1);
  const Result together = RunLayers(sequences, layers, {});
  for (const int threads : {2, 3}) {
    at::set_num_threads(threads);
    EXPECT_TRUE(SameBits(together, RunLayers(sequences, layers, {}))) << threads;
  }
  int64_t row = 0;
  for (size_t i = 0; i < sequences.size(); ++i) {
    const Result alone = RunLayers({sequences[i]}, {layers[i]}, {});
    const at::Tensor rows = together.rows.narrow(0, row, alone.rows.size(0));
    EXPECT_TRUE(SameBits(alone, {rows, {together.scores[i]}})) << i;
    row += alone.rows.size(0);
  }
}

TEST_F(Fci, ReadsBfloat16AndAddsInFloat32) {
  const FciSequence sequence = RandomSteps(40, 10);
  FciLayer layer = RandomLayer(sequence, {}, 2);
  for (std::vector<float>* x : {&layer.q, &layer.k, &layer.v}) {
    const at::Tensor rounded = at::tensor(*x).to(at::kBFloat16).to(at::kFloat);
    x->assign(rounded.const_data_ptr<float>(), rounded.const_data_ptr<float>() + rounded.numel());
  }
  const FciLayerResult expected = FciReference(layer, sequence, {});
  const Result result = RunLayers({sequence}, {layer}, {}, at::kBFloat16);
  EXPECT_LT(Worst(result.scores[0], expected.scores), 3e-6);
  EXPECT_LT(Worst(result.rows, expected.rows), 2e-2) << "rounded to bfloat16 in the end";
}

TEST_F(Fci, ReadsViewsOfAFusedProjection) {
  const FciSequence sequence = RandomSteps(20, 10);
  const FciLayer layer = RandomLayer(sequence, {});
  const Result expected = RunLayers({sequence}, {layer}, {});
  const at::Tensor all =
      at::cat({Tensor(layer.q, 4, 16).flatten(1), Tensor(layer.k, 2, 16).flatten(1),
               Tensor(layer.v, 2, 16).flatten(1)},
              1);
  const auto view = [&](int64_t from, int64_t heads) {
    return all.narrow(1, from, heads * 16).unflatten(1, {heads, 16});
  };
  FciAttention attention({sequence}, 2, {});
  const at::Tensor rows = attention.Forward(0, view(0, 4), view(64, 2), view(96, 2));
  EXPECT_TRUE(SameBits(expected, {rows, attention.Scores()}));
}

TEST_F(Fci, AtenOperationsOfOtherDevicesAgree) {
  std::vector<FciSequence> sequences = {RandomSteps(30, 8), RandomSteps(9, 4)};
  sequences[0].think_end_step = 20;
  std::vector<FciLayer> layers;
  for (const FciSequence& sequence : sequences) layers.push_back(RandomLayer(sequence, {}, 2));
  const Result own = RunLayers(sequences, layers, {});
  const Result aten = RunLayers(sequences, layers, {}, at::kFloat, FciAttention::Kernels::kAten);
  EXPECT_LT((own.rows - aten.rows).abs().max().item<float>(), 3e-6);
  for (size_t s = 0; s < sequences.size(); ++s) {
    const std::vector<double> expected(aten.scores[s].begin(), aten.scores[s].end());
    EXPECT_LT(Worst(own.scores[s], expected), 3e-6);
  }
}

}  // namespace
}  // namespace attnrl::attention
