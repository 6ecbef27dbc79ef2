// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "common/kernels/cuda/testing/emulator.h"
#include "services/learner/train/cuda/score_rows_kernel.h"
#include "services/learner/train/cuda/testing/scores_in_double.h"

namespace attnrl::learner {
namespace {

TEST(ScoreRows, GiveLogProbsEntropiesAndGradientsOfTheDefinitions) {
  for (const int64_t vocabulary : {1, 31, 512, 3001}) {
    for (const double temperature : {1.0, 0.6}) {
      const ScoreCase of(6, vocabulary, temperature);
      const ScoresInDouble expected(of);
      std::vector<std::vector<float>> found;
      for (const cuda::ThreadOrder order : cuda::kAllOrders) {
        std::vector<float> logits = of.logits;
        std::vector<float> log_sum(6, NAN), entropy(6, NAN), logprobs(of.ids.size(), NAN);
        const ScoreRows chunk{.logits = logits.data(),
                              .vocabulary = vocabulary,
                              .inverse_temperature = static_cast<float>(1 / temperature),
                              .first_token = of.first_token.data(),
                              .ids = of.ids.data(),
                              .log_sum = log_sum.data(),
                              .entropy = entropy.data(),
                              .logprobs = logprobs.data(),
                              .logprob_gradient = of.logprob_gradient.data(),
                              .entropy_gradient = of.entropy_gradient.data()};
        ASSERT_TRUE(cuda::Emulate<ScoreRowsKernel>({of.rows()}, chunk, order).ok());
        EXPECT_EQ(logits, of.logits);
        for (size_t i = 0; i < logprobs.size(); ++i) {
          ASSERT_NEAR(logprobs[i], expected.logprobs[i], 4e-6) << vocabulary;
        }
        for (size_t i = 0; i < entropy.size(); ++i) {
          ASSERT_NEAR(entropy[i], expected.entropy[i], 1e-5) << vocabulary;
        }
        ASSERT_TRUE(cuda::Emulate<ScoreGradientKernel>({of.rows()}, chunk, order).ok());
        for (size_t i = 0; i < logits.size(); ++i) {
          ASSERT_NEAR(logits[i], expected.gradient[i], 4e-6) << vocabulary << " " << i;
        }
        found.push_back(logits);
        found.back().insert(found.back().end(), entropy.begin(), entropy.end());
        EXPECT_EQ(found.back(), found.front());
      }
    }
  }
}

TEST(ScoreRows, LeaveOutTheEntropyAndItsGradientWhereNobodyWantsThem) {
  ScoreCase of(3, 40, 1);
  of.entropy_gradient.assign(of.entropy_gradient.size(), 0);
  const ScoresInDouble expected(of);
  std::vector<float> log_sum(3), logprobs(of.ids.size());
  const ScoreRows chunk{.logits = of.logits.data(),
                        .vocabulary = 40,
                        .first_token = of.first_token.data(),
                        .ids = of.ids.data(),
                        .log_sum = log_sum.data(),
                        .logprobs = logprobs.data(),
                        .logprob_gradient = of.logprob_gradient.data()};
  const auto order = cuda::ThreadOrder::kShuffled;
  ASSERT_TRUE(cuda::Emulate<ScoreRowsKernel>({3}, chunk, order).ok());
  for (size_t i = 0; i < logprobs.size(); ++i) {
    EXPECT_NEAR(logprobs[i], expected.logprobs[i], 4e-6) << i;
  }
  ASSERT_TRUE(cuda::Emulate<ScoreGradientKernel>({3}, chunk, order).ok());
  for (size_t i = 0; i < of.logits.size(); ++i) {
    EXPECT_NEAR(of.logits[i], expected.gradient[i], 2e-6) << i;
  }
}

}  // namespace
}  // namespace attnrl::learner
