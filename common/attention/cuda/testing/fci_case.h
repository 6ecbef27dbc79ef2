// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "common/attention/fci/testing/reference.h"
#include "common/base/philox.h"
#include "common/kernels/cuda/kernel_language.h"

namespace attnrl::attention {

// For tests and measurements only.

struct FciShape {
  int64_t heads = 6;
  int64_t kv_heads = 2;
  int64_t head_dim = 64;
};

inline FciSequence Steps(const std::vector<int64_t>& sizes) {
  FciSequence sequence;
  int64_t end = 0;
  for (const int64_t size : sizes) {
    sequence.steps.emplace_back(end, end + size);
    end += size;
  }
  return sequence;
}

// Random queries and keys that T holds exactly.
template <typename T>
FciLayer RandomLayer(RandomStream& random, int64_t rows, const FciShape& shape) {
  FciLayer layer{.heads = shape.heads, .kv_heads = shape.kv_heads, .head_dim = shape.head_dim};
  const auto fill = [&](std::vector<float>& x, int64_t heads) {
    for (int64_t i = 0; i < rows * heads * shape.head_dim; ++i) {
      const auto number = static_cast<float>(4 * random.Uniform() - 2);
      x.push_back(cuda::ToFloat(cuda::FromFloat<T>(number)));
    }
  };
  fill(layer.q, shape.heads);
  fill(layer.k, shape.kv_heads);
  fill(layer.v, shape.kv_heads);
  return layer;
}

// The log-sum-exp of each query's scores, [rows, heads].
inline std::vector<float> LogSumExp(const FciLayer& layer, int64_t rows) {
  std::vector<float> lse;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t head = 0; head < layer.heads; ++head) {
      const int64_t kv_head = head / (layer.heads / layer.kv_heads);
      double sum = 0;
      for (int64_t key = 0; key <= row; ++key) {
        double dot = 0;
        for (int64_t d = 0; d < layer.head_dim; ++d) {
          dot +=
              static_cast<double>(
                  layer.q[static_cast<size_t>((row * layer.heads + head) * layer.head_dim + d)]) *
              static_cast<double>(layer.k[static_cast<size_t>(
                  (key * layer.kv_heads + kv_head) * layer.head_dim + d)]);
        }
        sum += std::exp(dot / std::sqrt(static_cast<double>(layer.head_dim)));
      }
      lse.push_back(static_cast<float>(std::log(sum)));
    }
  }
  return lse;
}

template <typename T>
std::vector<T> To(const std::vector<float>& x) {
  std::vector<T> to;
  for (const float number : x) to.push_back(cuda::FromFloat<T>(number));
  return to;
}

}  // namespace attnrl::attention
