// SPDX-License-Identifier: Apache-2.0
// Gradients of the forward pass, in float64 against finite differences.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "common/attention/dense_attention.h"
#include "common/model/testing/reference_scores.h"
#include "common/model/testing/tiny_models.h"
#include "common/model/transformer.h"

namespace attnrl::model {
namespace {

struct Problem {
  std::vector<int64_t> lengths = {7, 3, 6, 1};
  at::Tensor ids = at::arange(17).mul(11).remainder(40);
  at::Tensor positions = at::cat({at::arange(7), at::arange(3), at::arange(6), at::arange(1)});
  at::Tensor targets = at::arange(17).mul(7).add(3).remainder(40);

  at::Tensor rows = at::arange(17);

  // A scalar in which every score counts with a weight of its own.
  at::Tensor Loss(const Transformer& transformer) const {
    attention::DenseAttention attention(lengths);
    const at::Tensor hidden = transformer.Hidden(ids, positions, attention);
    const TokenScores scores = ScoreByFormula(transformer.Logits(hidden), rows, targets, 0.8);
    const at::Tensor weights = at::arange(1, 18).to(at::kDouble) / 17;
    return (scores.logprobs * weights).sum() + (scores.entropy * weights.flip(0)).sum();
  }
};

Tensors DoubleLeaves(const ModelConfig& config) {
  Tensors leaves = RandomTensors(config, 3, DType::kFloat32);
  for (auto& [name, tensor] : leaves) tensor = tensor.to(at::kDouble).set_requires_grad(true);
  return leaves;
}

void ExpectGradientsOf(const ModelConfig& config) {
  const Problem problem;
  Tensors leaves = DoubleLeaves(config);
  const Transformer transformer(config, leaves);
  problem.Loss(transformer).backward();
  const at::NoGradGuard no_grad;
  constexpr double kStep = 1e-5;
  for (auto& [name, leaf] : leaves) {
    ASSERT_TRUE(leaf.grad().defined()) << name;
    // One direction a tensor: all of its elements take part.
    const at::Tensor direction =
        at::cos(at::arange(leaf.numel()).to(at::kDouble)).view(leaf.sizes());
    leaf.add_(direction, kStep);
    const double above = problem.Loss(transformer).item<double>();
    leaf.add_(direction, -2 * kStep);
    const double below = problem.Loss(transformer).item<double>();
    leaf.add_(direction, kStep);
    const double expected = (above - below) / (2 * kStep);
    const double found = (leaf.grad() * direction).sum().item<double>();
    EXPECT_NEAR(found, expected, 1e-5 * (1 + std::abs(expected))) << name;
  }
}

TEST(Gradients, EqualFiniteDifferencesWithBiases) { ExpectGradientsOf(SmallConfig()); }

TEST(Gradients, EqualFiniteDifferencesWithHeadNormsAndTiedEmbeddings) {
  ModelConfig config = SmallConfig();
  config.qkv_bias = false;
  config.qk_norm = true;
  config.tie_word_embeddings = true;
  config.head_dim = 16;
  ExpectGradientsOf(config);
}

TEST(Hidden, OfWantedRowsIsThatOfTheseRowsAmongAll) {
  const ModelConfig config = SmallConfig();
  const Problem problem;
  const at::NoGradGuard no_grad;
  attention::DenseAttention attention(problem.lengths);
  const at::Tensor wanted = at::tensor(std::vector<int64_t>{0, 5, 6, 16});
  for (const Operators* operators : {&Operators::Standard(), &Operators::FixedOrder()}) {
    const Transformer transformer(config, RandomTensors(config, 3, DType::kFloat32), *operators);
    const at::Tensor all = transformer.Hidden(problem.ids, problem.positions, attention);
    const at::Tensor some = transformer.Hidden(problem.ids, problem.positions, attention, wanted);
    EXPECT_TRUE(some.allclose(all.index_select(0, wanted), 1e-5, 1e-6)) << operators->name();
  }
}

TEST(Gradients, FollowWhatAnOptimizerWritesIntoTheLeaves) {
  const ModelConfig config = SmallConfig();
  const Problem problem;
  Tensors leaves = DoubleLeaves(config);
  const Transformer transformer(config, leaves);
  const double before = problem.Loss(transformer).item<double>();
  {
    const at::NoGradGuard no_grad;
    for (auto& [name, leaf] : leaves) leaf.mul_(1.1);
  }
  EXPECT_NE(problem.Loss(transformer).item<double>(), before);
}

TEST(Gradients, ReachEveryTensorOfABFloat16Model) {
  const ModelConfig config = SmallConfig();
  Tensors leaves = RandomTensors(config, 3, DType::kBFloat16);
  for (auto& [name, leaf] : leaves) leaf.set_requires_grad(true);
  const Transformer transformer(config, leaves);
  Problem().Loss(transformer).backward();
  for (const auto& [name, leaf] : leaves) {
    ASSERT_TRUE(leaf.grad().defined()) << name;
    EXPECT_TRUE(at::isfinite(leaf.grad()).all().item<bool>()) << name;
  }
}

}  // namespace
}  // namespace attnrl::model
