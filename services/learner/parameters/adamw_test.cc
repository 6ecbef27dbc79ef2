// SPDX-License-Identifier: Apache-2.0
#include "services/learner/parameters/adamw.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace attnrl::learner {
namespace {

model::Tensors SmallWeights(at::ScalarType type) {
  const at::Tensor values = at::tensor({0.5f, -1.25f, 2.0f, 0.0f, -0.75f, 1.5f}).to(type);
  return {{"a", values.clone().view({2, 3})}, {"b", values.narrow(0, 1, 2).clone()}};
}

// Puts the gradient (i + 1) * scale, alternating in sign, into every parameter.
void SetGradient(Parameters& parameters, double scale) {
  for (const auto& [name, leaf] : parameters.leaves()) {
    at::Tensor gradient = at::arange(1, leaf.numel() + 1, at::kFloat).mul(scale);
    gradient.view({-1}).slice(0, 0, leaf.numel(), 2).neg_();
    at::Tensor handle = leaf;
    handle.mutable_grad() = gradient.view(leaf.sizes()).to(leaf.scalar_type());
  }
  parameters.ZeroGradient();
  parameters.AddGradients();
}

std::vector<double> Values(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.to(at::kDouble).contiguous().view({-1});
  return {flat.const_data_ptr<double>(), flat.const_data_ptr<double>() + flat.numel()};
}

TEST(AdamWStep, EqualsTheClosedFormInFloat64) {
  Parameters parameters(SmallWeights(at::kFloat), model::DType::kFloat32);
  const AdamWOptions options{.learning_rate = 0.01, .beta2 = 0.98, .weight_decay = 0.1};
  std::vector<double> value = Values(parameters.Named(parameters.values()).at("a"));
  std::vector<double> first(value.size(), 0.0), second(value.size(), 0.0);
  for (int step = 1; step <= 5; ++step) {
    SetGradient(parameters, 0.3 * step);
    AdamWStep(options, step, parameters);
    for (size_t i = 0; i < value.size(); ++i) {
      const double gradient = 0.3 * step * static_cast<double>(i + 1) * (i % 2 == 0 ? -1.0 : 1.0);
      first[i] = 0.9 * first[i] + 0.1 * gradient;
      second[i] = 0.98 * second[i] + 0.02 * gradient * gradient;
      const double unbiased_first = first[i] / (1 - std::pow(0.9, step));
      const double unbiased_second = second[i] / (1 - std::pow(0.98, step));
      value[i] -= options.learning_rate * options.weight_decay * value[i];
      value[i] -=
          options.learning_rate * unbiased_first / (std::sqrt(unbiased_second) + options.epsilon);
    }
    const std::vector<double> found = Values(parameters.Named(parameters.values()).at("a"));
    for (size_t i = 0; i < value.size(); ++i) EXPECT_NEAR(found[i], value[i], 1e-6) << i;
  }
}

TEST(AdamWStep, LearningRateZeroChangesNoBitOfTheMasters) {
  model::Tensors weights = SmallWeights(at::kFloat);
  weights["b"].fill_(-0.0f);
  Parameters parameters(weights, model::DType::kFloat32);
  const at::Tensor before = parameters.values().clone();
  for (int step = 1; step <= 3; ++step) {
    SetGradient(parameters, -1.0);
    AdamWStep({.learning_rate = 0}, step, parameters);
  }
  EXPECT_EQ(
      std::memcmp(before.const_data_ptr(), parameters.values().const_data_ptr(), before.nbytes()),
      0);
  EXPECT_GT(parameters.first_moment().abs().max().item<float>(), 0);
}

TEST(AdamWStep, SparesNormsAndBiasesFromDecayWhereToldTo) {
  AdamWOptions options{.learning_rate = 0.01, .weight_decay = 0.5};
  Parameters all(SmallWeights(at::kFloat), model::DType::kFloat32);
  Parameters spared(SmallWeights(at::kFloat), model::DType::kFloat32);
  Parameters none(SmallWeights(at::kFloat), model::DType::kFloat32);
  for (Parameters* parameters : {&all, &spared, &none}) SetGradient(*parameters, 0.3);
  AdamWStep(options, 1, all);
  options.decay_norms_and_biases = false;
  AdamWStep(options, 1, spared);
  options.weight_decay = 0;
  AdamWStep(options, 1, none);
  const auto values = [](Parameters& parameters, const char* name) {
    return parameters.Named(parameters.values()).at(name);
  };
  EXPECT_TRUE(values(spared, "a").allclose(values(all, "a"), 1e-6, 0));
  EXPECT_FALSE(values(spared, "a").allclose(values(none, "a"), 1e-4, 0));
  EXPECT_TRUE(values(spared, "b").allclose(values(none, "b"), 1e-6, 0));
  EXPECT_FALSE(values(spared, "b").allclose(values(all, "b"), 1e-4, 0));
}

TEST(ClipGradient, ScalesALongGradientDownAndLeavesAShortOne) {
  Parameters parameters(SmallWeights(at::kFloat), model::DType::kFloat32);
  SetGradient(parameters, 1.0);
  const double norm = std::sqrt(1.0 + 4 + 9 + 16 + 25 + 36 + 1 + 4);
  EXPECT_NEAR(ClipGradient(parameters, 0), norm, 1e-6);
  EXPECT_NEAR(ClipGradient(parameters, 100), norm, 1e-6);
  EXPECT_NEAR(ClipGradient(parameters, 2), norm, 1e-6);
  EXPECT_NEAR(ClipGradient(parameters, 0), 2, 1e-5);
}

TEST(ClipGradient, AddsUpTheNormsOfSlices) {
  const int64_t size = (int64_t{1} << 24) + 48;
  Parameters parameters({{"a", at::zeros({size})}}, model::DType::kFloat32);
  parameters.gradient().fill_(0.5);
  EXPECT_NEAR(ClipGradient(parameters, 0), 0.5 * std::sqrt(static_cast<double>(size)), 1e-6);
}

TEST(Parameters, ComputeWithRoundedCopiesAndKeepTheMastersInFloat32) {
  Parameters parameters(SmallWeights(at::kFloat), model::DType::kBFloat16);
  EXPECT_EQ(parameters.leaves().at("a").scalar_type(), at::kBFloat16);
  SetGradient(parameters, 1.0);
  EXPECT_EQ(parameters.gradient().scalar_type(), at::kFloat);
  // A step too small for bfloat16 is kept in the masters until enough of them add up.
  AdamWStep({.learning_rate = 1e-4, .weight_decay = 0}, 1, parameters);
  parameters.Refresh();
  const model::Tensors masters = parameters.Named(parameters.values());
  EXPECT_NE(masters.at("b")[0].item<float>(), -1.25f);
  EXPECT_EQ(parameters.Published().at("b")[0].item<float>(), -1.25f);
  EXPECT_EQ(parameters.Published().at("a").scalar_type(), at::kBFloat16);
}

TEST(Parameters, AddUpTheGradientsOfSeveralPasses) {
  Parameters parameters(SmallWeights(at::kFloat), model::DType::kFloat32);
  at::Tensor leaf = parameters.leaves().at("b");
  for (int pass = 0; pass < 3; ++pass) {
    (leaf * leaf).sum().backward();
    parameters.AddGradients();
  }
  const at::Tensor gradient = parameters.Named(parameters.gradient()).at("b");
  EXPECT_TRUE(gradient.equal(leaf.detach() * 6));
  EXPECT_EQ(parameters.layout().parameters(), 8);
}

TEST(Parameters, ReadOneTensorAtATime) {
  Parameters parameters(SmallWeights(at::kFloat), model::DType::kFloat32);
  const model::Tensors named = parameters.Named(parameters.values());
  int alive = 0, most = 0;
  const auto read = [&](const std::string& name) -> absl::StatusOr<at::Tensor> {
    most = std::max(most, ++alive);
    const at::Tensor& tensor = named.at(name);
    return at::from_blob(
        tensor.mutable_data_ptr(), tensor.sizes(), [&](void*) { --alive; },
        at::TensorOptions(at::kFloat));
  };
  ASSERT_TRUE(parameters.Assign(read, parameters.first_moment()).ok());
  EXPECT_TRUE(parameters.first_moment().equal(parameters.values()));
  EXPECT_EQ(most, 1);
  const auto fails = [](const std::string&) { return absl::DataLossError("damaged"); };
  EXPECT_TRUE(absl::IsDataLoss(parameters.Assign(fails, parameters.first_moment())));
}

TEST(Parameters, FitTheModelsNamesAndShapesAlone) {
  const Parameters parameters(SmallWeights(at::kFloat), model::DType::kFloat32);
  Parameters::Shapes shapes;
  for (const auto& [name, tensor] : SmallWeights(at::kFloat)) shapes[name] = tensor.sizes().vec();
  EXPECT_TRUE(parameters.Fits(shapes));
  shapes["c"] = shapes["b"];
  EXPECT_FALSE(parameters.Fits(shapes));
  shapes.erase("a");
  EXPECT_FALSE(parameters.Fits(shapes));
  shapes["a"] = shapes["b"];
  shapes.erase("c");
  EXPECT_FALSE(parameters.Fits(shapes));
}

}  // namespace
}  // namespace attnrl::learner
