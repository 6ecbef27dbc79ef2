// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "services/learner/train/cuda/score_rows.h"
#include "services/learner/train/cuda/testing/scores_in_double.h"
#include "tests/bench/gpu/gpu_check.h"

namespace attnrl::bench {
namespace {

using learner::ScoreCase;
using learner::ScoreRows;
using learner::ScoresInDouble;

double Worst(const std::vector<float>& found, const std::vector<double>& expected) {
  double worst = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    worst = std::max(worst, std::abs(found[i] - expected[i]));
  }
  return worst;
}

// The way back is timed over its own results: numbers of the same kind, at the same speed.
void CheckScores(Table& table, int64_t rows, int64_t vocabulary, bool compare) {
  const ScoreCase of(rows, vocabulary, 0.8);
  const OnGpu<float> logits(of.logits), log_sum(static_cast<size_t>(rows)),
      entropy(static_cast<size_t>(rows)), logprobs(of.ids.size());
  const OnGpu<int32_t> first_token(of.first_token), ids(of.ids);
  const OnGpu<float> logprob_gradient(of.logprob_gradient), entropy_gradient(of.entropy_gradient);
  const ScoreRows chunk{.logits = logits.get(),
                        .vocabulary = vocabulary,
                        .inverse_temperature = 1 / 0.8F,
                        .first_token = first_token.get(),
                        .ids = ids.get(),
                        .log_sum = log_sum.get(),
                        .entropy = entropy.get(),
                        .logprobs = logprobs.get(),
                        .logprob_gradient = logprob_gradient.get(),
                        .entropy_gradient = entropy_gradient.get()};
  Check(LaunchScoreRows(chunk, rows, nullptr), "scores");
  Check(LaunchScoreGradient(chunk, rows, nullptr), "gradient of scores");
  const std::string shape = std::to_string(rows) + " rows of " + std::to_string(vocabulary);
  if (compare) {
    const ScoresInDouble expected(of);
    table.Add({"log-probs", shape, Worst(logprobs.Fetch(), expected.logprobs), 6e-6});
    table.Add({"entropies", shape, Worst(entropy.Fetch(), expected.entropy), 2e-5});
    table.Add({"gradient of scores", shape, Worst(logits.Fetch(), expected.gradient), 6e-6});
  }
  const auto bytes = static_cast<double>(rows * vocabulary) * sizeof(float);
  table.Add({"scores, there",
             shape,
             {},
             0,
             SecondsOf([&](cuda::Stream s) { return LaunchScoreRows(chunk, rows, s); }),
             bytes});
  table.Add({"scores, back",
             shape,
             {},
             0,
             SecondsOf([&](cuda::Stream s) { return LaunchScoreGradient(chunk, rows, s); }),
             2 * bytes});
}

}  // namespace

void AddLearner(Table& table) {
  CheckScores(table, 8, 3001, true);
  CheckScores(table, 440, 151936, false);
}

}  // namespace attnrl::bench
