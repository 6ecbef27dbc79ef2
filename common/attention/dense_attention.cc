// SPDX-License-Identifier: Apache-2.0
#include "common/attention/dense_attention.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <numeric>

#include "common/attention/grouped_heads.h"

namespace attnrl::attention {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Rows by index where each row of the result is used at most once in the other direction: so both
// directions are gathers, and no gradient is scattered row by row.
class Rearrange : public torch::autograd::Function<Rearrange> {
 public:
  // `forward`: for each row of the result a row of x. `backward`: for each row of x a row of the
  // result. `unused`: rows of the gradient that are zero, may be empty.
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& forward, const at::Tensor& backward,
                            const at::Tensor& unused) {
    context->saved_data["backward"] = backward;
    context->saved_data["unused"] = unused;
    return x.index_select(0, forward);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    at::Tensor gradient = gradients[0].index_select(0, context->saved_data["backward"].toTensor());
    const at::Tensor unused = context->saved_data["unused"].toTensor();
    if (unused.numel() > 0) gradient.index_fill_(0, unused, 0);
    return {gradient, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

at::Tensor ToTensor(const std::vector<int64_t>& values) {
  return at::tensor(values, at::TensorOptions(at::kLong));
}

// Padding to the longest may add an eighth to the rows of a group.
bool Fits(int64_t sequences, int64_t length, int64_t rows) {
  return 8 * sequences * length <= 9 * rows;
}

}  // namespace

DenseAttention::DenseAttention(const std::vector<int64_t>& lengths) {
  std::vector<int64_t> starts(lengths.size());
  std::exclusive_scan(lengths.begin(), lengths.end(), starts.begin(), int64_t{0});
  std::vector<size_t> order(lengths.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return lengths[a] > lengths[b]; });

  std::vector<int64_t> gather;
  std::vector<int64_t> scatter(std::reduce(lengths.begin(), lengths.end(), size_t{0}));
  std::vector<int64_t> padding;
  int64_t rows_of_group = 0;
  for (const size_t sequence : order) {
    const int64_t rows = lengths[sequence];
    if (groups_.empty() ||
        !Fits(groups_.back().sequences + 1, groups_.back().length, rows_of_group + rows)) {
      groups_.push_back({.sequences = 0, .length = rows});
      rows_of_group = 0;
    }
    ++groups_.back().sequences;
    rows_of_group += rows;
    for (int64_t i = 0; i < groups_.back().length; ++i) {
      const auto padded = static_cast<int64_t>(gather.size());
      gather.push_back(starts[sequence] + std::min(i, rows - 1));
      if (i < rows) {
        scatter[static_cast<size_t>(starts[sequence] + i)] = padded;
      } else {
        padding.push_back(padded);
      }
    }
  }
  gather_ = ToTensor(gather);
  scatter_ = ToTensor(scatter);
  padding_ = ToTensor(padding);
}

void DenseAttention::MoveTo(const at::Device& device) {
  if (gather_.device() == device) return;
  gather_ = gather_.to(device);
  scatter_ = scatter_.to(device);
  padding_ = padding_.to(device);
}

at::Tensor DenseAttention::Forward(int64_t /*layer*/, const at::Tensor& q, const at::Tensor& k,
                                   const at::Tensor& v) {
  MoveTo(q.device());
  const int64_t repeats = q.size(1) / k.size(1);
  std::vector<int64_t> sizes;
  for (const Group& group : groups_) sizes.push_back(group.sequences * group.length);
  const at::Tensor none = at::empty({0}, padding_.options());
  const auto pad = [&](const at::Tensor& x) {
    return Rearrange::apply(x, gather_, scatter_, none).split_with_sizes(sizes);
  };
  const std::vector<at::Tensor> queries = pad(q);
  const std::vector<at::Tensor> keys = pad(k);
  const std::vector<at::Tensor> values = pad(v);
  std::vector<at::Tensor> results;
  for (size_t i = 0; i < groups_.size(); ++i) {
    const Group& group = groups_[i];
    // [group rows, heads, head_dim] -> [sequences, heads, length, head_dim]
    const auto batch = [&](const at::Tensor& x) {
      return x.unflatten(0, {group.sequences, group.length}).transpose(1, 2);
    };
    // Padding comes after every row that counts, so the causal mask is all that is needed.
    const at::Tensor result = at::scaled_dot_product_attention(
        batch(queries[i]), RepeatHeads(batch(keys[i]), repeats),
        RepeatHeads(batch(values[i]), repeats), {}, 0.0, /*is_causal=*/true);
    results.push_back(result.transpose(1, 2).flatten(0, 1));
  }
  return Rearrange::apply(at::cat(results), scatter_, gather_, padding_);
}

}  // namespace attnrl::attention
