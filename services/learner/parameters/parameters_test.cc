// SPDX-License-Identifier: Apache-2.0
#include "services/learner/parameters/parameters.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "common/testing/present_memory.h"

namespace attnrl::learner {
namespace {

constexpr int64_t kRows = 1 << 12;

model::Tensors Weights(at::ScalarType dtype) {
  return {{"model.embed_tokens.weight", at::randn({kRows, 128}).to(dtype)},
          {"model.layers.0.mlp.up_proj.weight", at::randn({33, 7}).to(dtype)},
          {"model.norm.weight", at::ones({5}, dtype)}};
}

int64_t PresentOf(const at::Tensor& flat) {
  return PresentBytes(flat.const_data_ptr(), static_cast<int64_t>(flat.nbytes()));
}

TEST(Parameters, DropTheWeightsThatTheyAreMadeOf) {
  for (const model::DType compute : {model::DType::kFloat32, model::DType::kBFloat16}) {
    std::vector<float> numbers(64, 1.0F);
    bool dropped = false;
    model::Tensors weights = {
        {"lm_head.weight", at::from_blob(numbers.data(), {8, 8}, [&](void*) { dropped = true; })}};
    const Parameters parameters(std::move(weights), compute);
    EXPECT_TRUE(dropped);
  }
}

TEST(Parameters, TakeNoMemoryForGradientAndMomentsBeforeThoseAreWritten) {
  Parameters parameters(Weights(at::kFloat), model::DType::kFloat32);
  EXPECT_GE(PresentOf(parameters.values()), parameters.layout().parameters() * 4);
  for (const at::Tensor& flat :
       {parameters.gradient(), parameters.first_moment(), parameters.second_moment()}) {
    EXPECT_EQ(PresentOf(flat), 0);
  }
  parameters.gradient().narrow(0, 0, 1024).fill_(1);
  EXPECT_GE(PresentOf(parameters.gradient()), 1024 * 4);
  EXPECT_EQ(parameters.gradient().sum().item<float>(), 1024) << "the others are zero";
  EXPECT_EQ(parameters.second_moment().abs().max().item<float>(), 0);
}

TEST(Parameters, HaveEveryWeightInItsPlaceAndZerosBetweenThem) {
  const model::Tensors weights = Weights(at::kBFloat16);
  Parameters parameters(weights, model::DType::kBFloat16);
  double sum = 0;
  for (const auto& [name, tensor] : parameters.Named(parameters.values())) {
    EXPECT_TRUE(at::equal(tensor, weights.at(name).to(at::kFloat))) << name;
    EXPECT_TRUE(at::equal(parameters.leaves().at(name), weights.at(name))) << name;
    sum += tensor.abs().sum(at::kDouble).item<double>();
  }
  EXPECT_GT(parameters.layout().padded(), parameters.layout().parameters());
  EXPECT_NEAR(parameters.values().abs().sum(at::kDouble).item<double>(), sum, 1e-9 * sum);
}

}  // namespace
}  // namespace attnrl::learner
