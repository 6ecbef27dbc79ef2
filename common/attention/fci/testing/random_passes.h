// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "common/attention/fci/fci.h"
#include "common/attention/fci/testing/reference.h"
#include "common/base/philox.h"

namespace attnrl::attention {

// For tests only.

struct Shape {
  int64_t heads = 4;
  int64_t kv_heads = 2;
  int64_t head_dim = 16;
};

inline FciLayer RandomLayer(RandomStream& random, const FciSequence& sequence,
                            const Shape& shape = {}, double spread = 1) {
  const int64_t rows = sequence.steps.back().second;
  const auto fill = [&](std::vector<float>& x, int64_t heads) {
    for (int64_t i = 0; i < rows * heads * shape.head_dim; ++i) {
      x.push_back(static_cast<float>(spread * (2 * random.Uniform() - 1)));
    }
  };
  FciLayer layer{.heads = shape.heads, .kv_heads = shape.kv_heads, .head_dim = shape.head_dim};
  fill(layer.q, shape.heads);
  fill(layer.k, shape.kv_heads);
  fill(layer.v, shape.kv_heads);
  return layer;
}

// Steps of 1 to `longest` tokens.
inline FciSequence RandomSteps(RandomStream& random, int64_t count, int64_t longest) {
  FciSequence sequence;
  int64_t end = 0;
  for (int64_t i = 0; i < count; ++i) {
    const auto size = static_cast<int64_t>(random.Below(static_cast<uint64_t>(longest))) + 1;
    sequence.steps.emplace_back(end, end + size);
    end += size;
  }
  return sequence;
}

inline at::Tensor Tensor(const std::vector<float>& values, int64_t heads, int64_t head_dim) {
  return at::tensor(values).view({-1, heads, head_dim});
}

// One layer of all sequences of a pass: what Forward gives for them.
inline at::Tensor ForwardLayer(FciAttention& attention, int64_t layer,
                               const std::vector<FciLayer>& sequences,
                               at::ScalarType dtype = at::kFloat) {
  std::vector<at::Tensor> q;
  std::vector<at::Tensor> k;
  std::vector<at::Tensor> v;
  for (const FciLayer& of : sequences) {
    q.push_back(Tensor(of.q, of.heads, of.head_dim).to(dtype));
    k.push_back(Tensor(of.k, of.kv_heads, of.head_dim).to(dtype));
    v.push_back(Tensor(of.v, of.kv_heads, of.head_dim).to(dtype));
  }
  return attention.Forward(layer, at::cat(q), at::cat(k), at::cat(v));
}

inline double Worst(const at::Tensor& rows, const std::vector<double>& expected) {
  return (rows.flatten().to(at::kDouble) - at::tensor(expected)).abs().max().item<double>();
}

// NaN where the sizes differ.
inline double Worst(const std::vector<float>& scores, const std::vector<double>& expected) {
  if (scores.size() != expected.size()) return NAN;
  double worst = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(scores[i]) - expected[i]));
  }
  return worst;
}

}  // namespace attnrl::attention
