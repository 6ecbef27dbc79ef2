// SPDX-License-Identifier: Apache-2.0
#include "services/learner/parameters/lora.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "services/learner/parameters/parameters.h"

namespace attnrl::learner {
namespace {

constexpr char kProjection[] = "model.layers.0.self_attn.q_proj.weight";
constexpr char kUp[] = "model.layers.0.mlp.up_proj.weight";

model::Tensors Weights() {
  return {{"model.embed_tokens.weight", at::randn({9, 4})},
          {kProjection, at::randn({6, 4})},
          {"model.layers.0.self_attn.q_proj.bias", at::randn({6})},
          {kUp, at::randn({5, 4})},
          {"model.norm.weight", at::ones({4})}};
}

TEST(Lora, HasAdaptersOfTheTargetedLinearMapsAlone) {
  const model::Tensors weights = Weights();
  EXPECT_EQ(Lora(weights, {.rank = 2}).Initial().size(), 4u);
  const Lora attention(weights, {.rank = 2, .targets = LoraTargets::kAttention});
  EXPECT_TRUE(attention.Targets(kProjection));
  EXPECT_FALSE(attention.Targets(kUp));
  EXPECT_FALSE(attention.Targets("model.embed_tokens.weight"));
  const Lora mlp(weights, {.rank = 2, .targets = LoraTargets::kMlp});
  EXPECT_FALSE(mlp.Targets(kProjection));
  EXPECT_TRUE(mlp.Targets(kUp));
  EXPECT_EQ(Lora::NameOfA(kUp), "model.layers.0.mlp.up_proj.lora_A.weight");
}

TEST(Lora, BeginsAsTheModelItself) {
  const model::Tensors weights = Weights();
  const Lora lora(weights, {.rank = 3, .seed = 5});
  const model::Tensors adapters = lora.Initial();
  const at::Tensor& a = adapters.at(Lora::NameOfA(kUp));
  const at::Tensor& b = adapters.at(Lora::NameOfB(kUp));
  EXPECT_TRUE(at::equal(lora.Merged(kUp, a, b), weights.at(kUp)));
  EXPECT_GT(a.abs().max().item<float>(), 0);
  EXPECT_LE(a.abs().max().item<float>(), 0.5f);
  EXPECT_TRUE(at::equal(a, Lora(weights, {.rank = 3, .seed = 5}).Initial().at(Lora::NameOfA(kUp))));
  EXPECT_FALSE(
      at::equal(a, Lora(weights, {.rank = 3, .seed = 6}).Initial().at(Lora::NameOfA(kUp))));
}

TEST(Lora, GradientsAreThoseOfAutograd) {
  const model::Tensors weights = Weights();
  const Lora lora(weights, {.rank = 2, .alpha = 3});
  const at::Tensor a = at::randn({2, 4}).set_requires_grad(true);
  const at::Tensor b = at::randn({5, 2}).set_requires_grad(true);
  const at::Tensor input = at::randn({7, 4});
  const at::Tensor merged = weights.at(kUp) + 1.5 * at::matmul(b, a);
  at::linear(input, merged).sin().sum().backward();
  const at::Tensor weight = merged.detach().set_requires_grad(true);
  at::linear(input, weight).sin().sum().backward();
  const at::Tensor of_a = at::zeros({2, 4});
  const at::Tensor of_b = at::zeros({5, 2});
  lora.AddGradient(weight.grad(), a.detach(), b.detach(), of_a, of_b);
  EXPECT_TRUE(at::allclose(of_a, a.grad(), 1e-4, 1e-5));
  EXPECT_TRUE(at::allclose(of_b, b.grad(), 1e-4, 1e-5));
  EXPECT_TRUE(at::allclose(lora.Merged(kUp, a.detach(), b.detach()), merged, 1e-5, 1e-6));
}

TEST(Lora, OnlyMergedWeightsChangeWithItsParameters) {
  const model::Tensors weights = Weights();
  for (const model::DType dtype : {model::DType::kFloat32, model::DType::kBFloat16}) {
    Parameters parameters(weights, dtype, nullptr, 0, {.rank = 2, .alpha = 2});
    EXPECT_EQ(parameters.layout().parameters(), 2 * (6 + 4) + 2 * (5 + 4));
    EXPECT_FALSE(parameters.GradientOf("model.embed_tokens.weight").defined());
    EXPECT_FALSE(parameters.leaves().at("model.norm.weight").requires_grad());
    parameters.values().add_(0.1);
    parameters.Refresh();
    for (const auto& [name, leaf] : parameters.Published()) {
      const bool same = at::equal(leaf, weights.at(name).to(leaf.scalar_type()));
      EXPECT_EQ(same, name != kProjection && name != kUp) << name;
    }
  }
}

}  // namespace
}  // namespace attnrl::learner
