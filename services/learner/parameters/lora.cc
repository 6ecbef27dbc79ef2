// SPDX-License-Identifier: Apache-2.0
#include "services/learner/parameters/lora.h"

#include <ATen/ATen.h>

#include <cmath>
#include <string_view>

#include "common/base/philox.h"

namespace attnrl::learner {
namespace {

constexpr std::string_view kWeight = ".weight";

std::string Sibling(const std::string& weight, std::string_view name) {
  return weight.substr(0, weight.size() - kWeight.size()) + std::string(name) +
         std::string(kWeight);
}

}  // namespace

bool Lora::IsTarget(const std::string& name, size_t dimensions, LoraTargets targets) {
  if (dimensions != 2 || !name.starts_with("model.layers.")) return false;
  const bool mlp = name.find(".mlp.") != std::string::npos;
  return targets == LoraTargets::kLinear || mlp == (targets == LoraTargets::kMlp);
}

Lora::Lora(const model::Tensors& weights, const LoraOptions& options)
    : options_(options), scale_(options.alpha / static_cast<double>(options.rank)) {
  for (const auto& [name, weight] : weights) {
    if (IsTarget(name, weight.sizes().size(), options.targets)) base_[name] = weight.detach();
  }
}

std::string Lora::NameOfA(const std::string& weight) { return Sibling(weight, ".lora_A"); }
std::string Lora::NameOfB(const std::string& weight) { return Sibling(weight, ".lora_B"); }

std::map<std::string, std::vector<int64_t>> Lora::Shapes() const {
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const auto& [name, weight] : base_) {
    shapes[NameOfA(name)] = {options_.rank, weight.size(1)};
    shapes[NameOfB(name)] = {weight.size(0), options_.rank};
  }
  return shapes;
}

model::Tensors Lora::Initial() const {
  model::Tensors adapters;
  RandomKey key{.seed = options_.seed, .purpose = kInitAdapters};
  for (const auto& [name, weight] : base_) {
    const int64_t out = weight.size(0);
    const int64_t in = weight.size(1);
    const double bound = 1 / std::sqrt(static_cast<double>(in));
    const at::Tensor a = at::empty({options_.rank, in}, at::TensorOptions(at::kFloat));
    auto* values = a.mutable_data_ptr<float>();
    for (int64_t i = 0; i < a.numel(); ++i) {
      values[i] =
          static_cast<float>(bound * (2 * RandomUniform(key, static_cast<uint32_t>(i)) - 1));
    }
    ++key.position;
    adapters[NameOfA(name)] = a.to(weight.device());
    adapters[NameOfB(name)] = at::zeros({out, options_.rank}, weight.options().dtype(at::kFloat));
  }
  return adapters;
}

at::Tensor Lora::Merged(const std::string& weight, const at::Tensor& a, const at::Tensor& b) const {
  return at::addmm(base_.at(weight).to(at::kFloat), b, a, 1, scale_);
}

void Lora::AddGradient(const at::Tensor& gradient, const at::Tensor& a, const at::Tensor& b,
                       at::Tensor gradient_of_a, at::Tensor gradient_of_b) const {
  const at::Tensor whole = gradient.to(at::kFloat);
  gradient_of_a.addmm_(b.t(), whole, 1, scale_);
  gradient_of_b.addmm_(whole, a.t(), 1, scale_);
}

}  // namespace attnrl::learner
