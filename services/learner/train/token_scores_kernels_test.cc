// SPDX-License-Identifier: Apache-2.0
// Scores by the kernels for GPUs, in the emulator, against those by operations of LibTorch.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "common/kernels/cuda/testing/emulator.h"
#include "services/learner/testing/pass_sequences.h"
#include "services/learner/train/cuda/score_rows_kernel.h"
#include "services/learner/train/token_scores.h"

namespace attnrl::learner {
namespace {

class EmulatedScoreKernels final : public ScoreKernels {
 public:
  cuda::LaunchError Scores(const ScoreRows& chunk, int64_t rows) const override {
    return Said(cuda::Emulate<ScoreRowsKernel>({rows}, chunk, kOrder));
  }
  cuda::LaunchError Gradient(const ScoreRows& chunk, int64_t rows) const override {
    return Said(cuda::Emulate<ScoreGradientKernel>({rows}, chunk, kOrder));
  }

 private:
  static constexpr auto kOrder = cuda::ThreadOrder::kShuffled;
  static cuda::LaunchError Said(const absl::Status& status) {
    return status.ok() ? nullptr : "a kernel stood still";
  }
};

constexpr int64_t kVocabulary = 33;
constexpr int64_t kHidden = 8;

struct Result {
  model::TokenScores scores;
  at::Tensor hidden;  // gradients
  at::Tensor weight;
};

Result ScoresOf(const Pass& pass, const ScoreKernels* kernels, bool entropy) {
  const at::Tensor hidden = (at::arange(pass.scored.numel() * kHidden) * 0.7).sin().view({-1, 8});
  const at::Tensor weight = (at::arange(kVocabulary * kHidden) * 1.3).sin().view({-1, 8});
  ChunkedScores chunks(
      pass, kVocabulary, 0.6, [&](const at::Tensor& states) { return at::linear(states, weight); },
      kernels);
  Result result;
  result.scores = chunks.Forward(hidden, entropy);
  result.weight = at::zeros_like(weight);
  const at::Tensor gradient = at::arange(pass.targets.numel()).cos();
  result.hidden = chunks.Backward(hidden, gradient, entropy ? gradient.sin() : at::Tensor(), weight,
                                  result.weight);
  return result;
}

TEST(ChunkedScoresByKernels, AreThoseByOperations) {
  const Pass pass = MakePass(Views(Forest()), Prefixes::kOnce, at::kCPU);
  ASSERT_LT(pass.scored.numel(), pass.targets.numel()) << "some rows predict several tokens";
  const EmulatedScoreKernels kernels;
  for (const bool entropy : {true, false}) {
    const Result expected = ScoresOf(pass, nullptr, entropy),
                 found = ScoresOf(pass, &kernels, entropy);
    EXPECT_TRUE(found.scores.logprobs.allclose(expected.scores.logprobs, 1e-5, 1e-5));
    EXPECT_EQ(found.scores.entropy.defined(), entropy);
    if (entropy) {
      EXPECT_TRUE(found.scores.entropy.allclose(expected.scores.entropy, 1e-5, 1e-5));
    }
    EXPECT_TRUE(found.hidden.allclose(expected.hidden, 1e-4, 1e-5));
    EXPECT_TRUE(found.weight.allclose(expected.weight, 1e-4, 1e-5));
  }
}

TEST(ChunkedScores, OfLogitsThatAreManyBlocksAreThoseOfSoftmax) {
  constexpr int64_t kLarge = int64_t{1} << 20;  // 4 MB of logits a row: two rows a block
  const Pass pass = MakePass(Views(Forest()), Prefixes::kOnce, at::kCPU);
  const at::Tensor hidden = (at::arange(pass.scored.numel()) * 0.7).sin().view({-1, 1});
  const at::Tensor weight = (at::arange(kLarge) * 1.3).sin().view({-1, 1});
  const at::Tensor row = pass.scored_by;
  const at::Tensor of_logprobs = at::arange(pass.targets.numel()).cos();
  for (const bool entropy : {true, false}) {
    ChunkedScores chunks(pass, kLarge, 0.6,
                         [&](const at::Tensor& states) { return at::linear(states, weight); });
    const model::TokenScores found = chunks.Forward(hidden, entropy);
    const at::Tensor of_entropy = entropy ? of_logprobs.sin() : at::Tensor();
    const at::Tensor gradient =
        chunks.Backward(hidden, of_logprobs, of_entropy, weight, at::Tensor());

    const at::AutoGradMode gradients(true);
    at::Tensor leaf = hidden.to(at::kDouble).set_requires_grad(true);
    const at::Tensor logs = at::linear(leaf, weight.to(at::kDouble)).div(0.6).log_softmax(-1);
    const at::Tensor logprobs = logs.index({row, pass.targets});
    at::Tensor loss = (logprobs * of_logprobs).sum();
    EXPECT_TRUE(found.logprobs.allclose(logprobs.to(at::kFloat), 1e-4, 1e-4));
    if (entropy) {
      const at::Tensor entropies = -(logs.exp() * logs).sum(-1).index({row});
      EXPECT_TRUE(found.entropy.allclose(entropies.to(at::kFloat), 1e-4, 1e-4));
      loss = loss + (entropies * of_entropy).sum();
    }
    loss.backward();
    // Sums of a million products each; another row's would be off by a tenth and more.
    EXPECT_TRUE(gradient.allclose(leaf.grad().to(at::kFloat), 1e-3, 1e-2))
        << at::stack({gradient.view({-1}), leaf.grad().to(at::kFloat).view({-1})});
  }
}

}  // namespace
}  // namespace attnrl::learner
