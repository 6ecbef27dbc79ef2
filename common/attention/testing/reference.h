// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/ATen.h>

#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "common/base/philox.h"

namespace attnrl::attention {

// For tests only.

// The heads that an attention is tested with.
struct Heads {
  int64_t query = 4;
  int64_t kv = 2;
  int64_t dim = 16;
};

// Queries, keys and values of some rows: [rows, heads, head_dim].
struct Inputs {
  at::Tensor q, k, v;

  Inputs To(at::ScalarType dtype) const { return {q.to(dtype), k.to(dtype), v.to(dtype)}; }
  Inputs Rows(const std::vector<int64_t>& rows) const {
    const at::Tensor index = at::tensor(rows, at::TensorOptions(at::kLong));
    return {q.index_select(0, index), k.index_select(0, index), v.index_select(0, index)};
  }
};

// float32 in [-spread, spread).
inline at::Tensor RandomTensor(RandomStream& random, const std::vector<int64_t>& sizes,
                               double spread = 1) {
  at::Tensor tensor = at::empty(sizes, at::TensorOptions(at::kFloat));
  auto* values = tensor.mutable_data_ptr<float>();
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    values[i] = static_cast<float>(spread * (2 * random.Uniform() - 1));
  }
  return tensor;
}

// With queries so large that the softmax is far from even.
inline Inputs RandomInputs(RandomStream& random, int64_t rows, const Heads& heads = {}) {
  return {RandomTensor(random, {rows, heads.query, heads.dim}, 4),
          RandomTensor(random, {rows, heads.kv, heads.dim}),
          RandomTensor(random, {rows, heads.kv, heads.dim})};
}

// The attention of queries [rows, heads, head_dim] over keys and values [tokens, kv_heads,
// head_dim], as the formula reads, in float64 with all probabilities at once. `hidden` is bool
// [rows, tokens]. Differentiable.
inline at::Tensor AttendByFormula(const Inputs& inputs, const at::Tensor& hidden) {
  const auto by_head = [](const at::Tensor& x) { return x.to(at::kDouble).unbind(1); };
  const std::vector<at::Tensor> q = by_head(inputs.q);
  const std::vector<at::Tensor> k = by_head(inputs.k);
  const std::vector<at::Tensor> v = by_head(inputs.v);
  const double scale = 1 / std::sqrt(static_cast<double>(inputs.q.size(2)));
  std::vector<at::Tensor> heads;
  for (size_t head = 0; head < q.size(); ++head) {
    const size_t key_head = head / (q.size() / k.size());
    const at::Tensor scores = q[head].matmul(k[key_head].t()) * scale;
    const at::Tensor weights = at::softmax(scores.masked_fill(hidden, -INFINITY), -1);
    heads.push_back(weights.matmul(v[key_head]));
  }
  return at::stack(heads, 1);
}

// Row i over the rows `seen[i]`.
inline at::Tensor AttendByFormula(const Inputs& inputs,
                                  const std::vector<std::vector<int64_t>>& seen) {
  const auto rows = static_cast<int64_t>(seen.size());
  at::Tensor hidden = at::ones({rows, rows}, at::TensorOptions(at::kBool));
  for (int64_t i = 0; i < rows; ++i) {
    hidden[i].index_fill_(0, at::tensor(seen[static_cast<size_t>(i)]), 0);
  }
  return AttendByFormula(inputs, hidden);
}

// What the rows of sequences see that follow each other without sharing any.
inline std::vector<std::vector<int64_t>> CausalRows(const std::vector<int64_t>& lengths) {
  std::vector<std::vector<int64_t>> seen;
  for (const int64_t length : lengths) {
    const auto first = static_cast<int64_t>(seen.size());
    for (int64_t i = 0; i < length; ++i) {
      std::vector<int64_t>& row = seen.emplace_back(static_cast<size_t>(i + 1));
      std::iota(row.begin(), row.end(), first);
    }
  }
  return seen;
}

// The largest difference of two tensors, NaN where one holds a NaN.
inline double Worst(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

}  // namespace attnrl::attention
