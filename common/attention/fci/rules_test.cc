// SPDX-License-Identifier: Apache-2.0
// What counts for a score and what a pass refuses, rule by rule.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <string>
#include <vector>

#include "common/attention/fci/fci.h"
#include "common/attention/fci/testing/random_passes.h"
#include "common/attention/fci/testing/reference.h"
#include "common/attention/testing/one_thread.h"
#include "common/base/philox.h"

namespace attnrl::attention {
namespace {

using testing::Each;
using testing::ElementsAre;
using Kernels = FciAttention::Kernels;

constexpr double kTolerance = 3e-6;

struct Refusal {
  std::string name;
  FciSequence sequence;
  int64_t delta = 4;
  std::string message;
};

class FciRefuses : public testing::TestWithParam<Refusal> {};

TEST_P(FciRefuses, ByWhatIsWrong) {
  const auto& [name, sequence, delta, message] = GetParam();
  const absl::Status status = CheckFciSequence(sequence, {.delta = delta});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(std::string(status.message()), message);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, FciRefuses,
    testing::Values(
        Refusal{"NoStep", {}, 4, "there is no step"},
        Refusal{"DeltaBelowZero", {{{0, 4}}}, -1, "delta is -1, below 0"},
        Refusal{"PromptThatBeginsLate",
                {{{1, 4}}},
                4,
                "step 0 is [1, 4), but the one before ends at 0"},
        Refusal{"EmptyPrompt", {{{0, 0}}}, 4, "step 0 is [0, 0), but the one before ends at 0"},
        Refusal{"Hole", {{{0, 4}, {5, 6}}}, 4, "step 1 is [5, 6), but the one before ends at 4"},
        Refusal{"Overlap",
                {{{0, 4}, {4, 9}, {8, 12}}},
                4,
                "step 2 is [8, 12), but the one before ends at 9"},
        Refusal{"EmptyStep",
                {{{0, 4}, {4, 4}, {4, 6}}},
                4,
                "step 1 is [4, 4), but the one before ends at 4"},
        Refusal{"StepThatEndsBeforeItBegins",
                {{{0, 4}, {4, 3}}},
                4,
                "step 1 is [4, 3), but the one before ends at 4"},
        Refusal{"TheFirstOfTwoMistakes",
                {{{0, 4}, {5, 5}, {9, 2}}, 7},
                4,
                "step 1 is [5, 5), but the one before ends at 4"},
        Refusal{"EndOfThinkingBehindTheSteps",
                {{{0, 4}, {4, 5}}, 2},
                4,
                "the end of thinking is in step 2 of 2"},
        Refusal{"EndOfThinkingBeforeTheSteps",
                {{{0, 4}, {4, 5}}, -1},
                4,
                "the end of thinking is in step -1 of 2"}),
    [](const auto& test) { return test.param.name; });

TEST(FciRules, AllowStepsOfAnySizeAndEveryStepAsTheEndOfThinking) {
  for (const std::optional<int64_t> think :
       std::vector<std::optional<int64_t>>{std::nullopt, 0, 1, 2}) {
    const FciSequence sequence = {.steps = {{0, 1}, {1, 100}, {100, 101}}, .think_end_step = think};
    for (const int64_t delta : {int64_t{0}, int64_t{1}, INT64_MAX}) {
      EXPECT_TRUE(CheckFciSequence(sequence, {.delta = delta}).ok());
    }
  }
}

class FciScores : public testing::TestWithParam<Kernels> {
 protected:
  // The scores of one sequence after layers of its own.
  static std::vector<float> Score(const FciSequence& sequence, const std::vector<FciLayer>& layers,
                                  const FciOptions& options = {}) {
    const auto count = static_cast<int64_t>(layers.size());
    FciAttention attention({sequence}, count, options, GetParam());
    for (int64_t i = 0; i < count; ++i) {
      const at::Tensor rows = ForwardLayer(attention, i, {layers[static_cast<size_t>(i)]});
      EXPECT_EQ(rows.defined(), i + 1 < count) << i;
    }
    return attention.Scores().front();
  }
};

// With queries of zeros query i gives each of its i + 1 keys the same: a step's mean over keys is
// 1 / (i + 1), whatever its size.
TEST_P(FciScores, AreSumsOfMeansOverQueriesAndKeys) {
  const FciSequence sequence = {.steps = {{0, 2}, {2, 3}, {3, 8}, {8, 40}, {40, 41}, {41, 100}}};
  RandomStream random({.seed = 1});
  FciLayer layer = RandomLayer(random, sequence);
  layer.q.assign(layer.q.size(), 0.0F);
  const auto mean = [&](size_t step) {
    const auto [begin, end] = sequence.steps[step];
    double sum = 0;
    for (int64_t i = begin; i < end; ++i) sum += 1.0 / static_cast<double>(i + 1);
    return sum / static_cast<double>(end - begin);
  };
  // Of two steps at a distance the earlier one's keys are all seen by all queries of the later one.
  EXPECT_LT(Worst(Score(sequence, {layer}, {.delta = 1}),
                  {0, 0, mean(3) + mean(4) + mean(5), mean(4) + mean(5), mean(5), 0}),
            kTolerance);
  EXPECT_LT(Worst(Score(sequence, {layer}, {.delta = 3}), {0, 0, mean(5), 0, 0, 0}), kTolerance);
}

// A step of one token attends to itself with what is left of the whole.
TEST_P(FciScores, CountAStepsAttentionToItselfWithDeltaZero) {
  const FciSequence sequence = {.steps = {{0, 1}, {1, 2}, {2, 3}, {3, 4}}};
  RandomStream random({.seed = 2});
  FciLayer layer = RandomLayer(random, sequence);
  layer.q.assign(layer.q.size(), 0.0F);
  EXPECT_LT(Worst(Score(sequence, {layer}, {.delta = 0}), {0, 0, 1.0 / 3 + 1.0 / 4, 1.0 / 4}),
            kTolerance);
}

TEST_P(FciScores, FallOrStayAsDeltaGrows) {
  RandomStream random({.seed = 3});
  const FciSequence sequence = RandomSteps(random, 10, 12);
  const FciLayer layer = RandomLayer(random, sequence, {}, 2);
  std::vector<float> before(10, 10.0F);
  for (int64_t delta = 0; delta <= 12; ++delta) {
    const std::vector<float> scores = Score(sequence, {layer}, {.delta = delta});
    EXPECT_LT(Worst(scores, FciReference(layer, sequence, {.delta = delta}).scores), kTolerance);
    for (size_t step = 0; step < scores.size(); ++step) {
      EXPECT_LE(scores[step], before[step]) << delta << " " << step;
      const bool far_enough = step >= 2 && static_cast<int64_t>(step) + delta < 10;
      EXPECT_EQ(scores[step] > 0, far_enough) << delta << " " << step;
    }
    before = scores;
  }
}

// Steps from there on score nothing, but their queries count for those before.
TEST_P(FciScores, AreKeptBeforeTheEndOfThinkingAndZeroFromThereOn) {
  RandomStream random({.seed = 4});
  FciSequence sequence = RandomSteps(random, 9, 7);
  const FciLayer layer = RandomLayer(random, sequence, {}, 2);
  const std::vector<float> all = Score(sequence, {layer}, {.delta = 1});
  for (int64_t think = 0; think < 9; ++think) {
    sequence.think_end_step = think;
    std::vector<float> expected = all;
    std::fill(expected.begin() + think, expected.end(), 0.0F);
    EXPECT_EQ(Score(sequence, {layer}, {.delta = 1}), expected) << think;
  }
}

TEST_P(FciScores, AreTheMaximumOverLayersTheLastAmongThem) {
  RandomStream random({.seed = 5});
  const FciSequence sequence = RandomSteps(random, 14, 6);
  std::vector<FciLayer> layers;
  std::vector<double> expected(14, 0.0);
  for (int i = 0; i < 3; ++i) {
    layers.push_back(RandomLayer(random, sequence, {}, 3));
    const std::vector<double> scores = FciReference(layers.back(), sequence, {}).scores;
    for (size_t k = 0; k < 14; ++k) expected[k] = std::max(expected[k], scores[k]);
  }
  const std::vector<float> scores = Score(sequence, layers);
  EXPECT_LT(Worst(scores, expected), kTolerance);
  for (const FciLayer& layer : layers) {
    EXPECT_GT(Worst(Score(sequence, {layer}), expected), 1e-3) << "every layer has a maximum";
  }
  std::reverse(layers.begin(), layers.end());
  EXPECT_EQ(Score(sequence, layers), scores) << "in any order";
}

TEST_P(FciScores, OfSequencesInOnePassAreEachThoseOfTheReference) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    RandomStream random({.seed = seed});
    const FciOptions options = {.delta = static_cast<int64_t>(random.Below(6))};
    const Shape shape = {.heads = 6, .kv_heads = 3, .head_dim = 12};
    std::vector<FciSequence> sequences;
    std::vector<FciLayer> layers;
    for (uint64_t count = 1 + random.Below(4); count > 0; --count) {
      const auto steps = static_cast<int64_t>(1 + random.Below(12));
      FciSequence& sequence = sequences.emplace_back(RandomSteps(random, steps, 9));
      if (random.Below(2) == 0) {
        sequence.think_end_step = static_cast<int64_t>(random.Below(static_cast<uint64_t>(steps)));
      }
      layers.push_back(RandomLayer(random, sequence, shape, 2));
    }
    FciAttention attention(sequences, 2, options, GetParam());
    const at::Tensor rows = ForwardLayer(attention, 0, layers);
    int64_t first = 0;
    for (size_t s = 0; s < sequences.size(); ++s) {
      const FciLayerResult expected = FciReference(layers[s], sequences[s], options);
      const int64_t count = sequences[s].steps.back().second;
      EXPECT_LT(Worst(rows.narrow(0, first, count), expected.rows), kTolerance) << s;
      EXPECT_LT(Worst(attention.Scores()[s], expected.scores), kTolerance) << s;
      first += count;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, FciScores, testing::Values(Kernels::kBest, Kernels::kAten),
                         [](const auto& test) {
                           return test.param == Kernels::kBest ? "Best" : "Aten";
                         });

}  // namespace
}  // namespace attnrl::attention
