// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/model/files/weights.h"

namespace attnrl::learner {

// Which linear maps of every layer have adapters.
enum class LoraTargets { kLinear, kAttention, kMlp };

struct LoraOptions {
  int64_t rank = 0;   // 0: no adapters, all weights are trained
  double alpha = 16;  // the change of a weight is alpha / rank times B A
  LoraTargets targets = LoraTargets::kLinear;
  uint64_t seed = 0;
};

// Low-rank adapters (Hu et al., "LoRA", arXiv 2106.09685): a targeted weight W [out, in] computes
// as W + alpha / rank B A, where only A [rank, in] and B [out, rank] are trained. They have the
// names that PEFT gives them: "….q_proj.lora_A.weight" beside "….q_proj.weight". Without dropout,
// so that training on the merged weight is the same function: its gradient G gives A and B theirs,
// alpha / rank B^T G and alpha / rank G A^T. Immutable but for what Tensors share.
class Lora {
 public:
  // `weights` are the model's, kept as they are: the W of above.
  Lora(const model::Tensors& weights, const LoraOptions& options);

  // Whether the weight of this name, of so many dimensions, has adapters.
  static bool IsTarget(const std::string& name, size_t dimensions, LoraTargets targets);

  bool Targets(const std::string& weight) const { return base_.contains(weight); }
  static std::string NameOfA(const std::string& weight);
  static std::string NameOfB(const std::string& weight);

  // Of all adapters, by name.
  std::map<std::string, std::vector<int64_t>> Shapes() const;
  // New adapters, float32, on the device of their weights: A uniform in +-1 / sqrt(in), B zero.
  model::Tensors Initial() const;

  // W + alpha / rank B A in float32. [out, in]
  at::Tensor Merged(const std::string& weight, const at::Tensor& a, const at::Tensor& b) const;
  // Adds the adapters' gradients, given that of the merged weight.
  void AddGradient(const at::Tensor& gradient, const at::Tensor& a, const at::Tensor& b,
                   at::Tensor gradient_of_a, at::Tensor gradient_of_b) const;

 private:
  const LoraOptions options_;
  const double scale_;
  model::Tensors base_;  // targeted weights
};

}  // namespace attnrl::learner
