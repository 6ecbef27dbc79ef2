// SPDX-License-Identifier: Apache-2.0
#include "common/attention/tree_attention.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <tuple>
#include <utility>

namespace attnrl::attention {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kNone = -1;

// One call of the flash kernel: rows [first, last) over the keys of [begin, end).
struct Part {
  int64_t first, last;
  int64_t begin, end;

  bool causal() const { return first == begin; }
  at::Tensor Rows(const at::Tensor& x) const { return x.narrow(0, first, last - first); }
  at::Tensor Keys(const at::Tensor& x) const { return x.narrow(0, begin, end - begin); }
};

std::vector<Part> PartsOf(const std::vector<TreeSegment>& segments) {
  std::vector<Part> parts;
  for (const TreeSegment& s : segments) {
    parts.push_back({s.begin, s.end, s.begin, s.end});
    if (s.subtree_end > s.end) parts.push_back({s.end, s.subtree_end, s.begin, s.end});
  }
  return parts;
}

// The layouts of the kernel, [batch, heads, rows, n] with `kv` heads, for queries of `group` heads
// to a key head. Where all rows see all keys, the query heads of a key head are further rows;
// under the causal mask, where a row's number counts, they are the batch.
at::Tensor QueryLayout(const at::Tensor& x, const Part& part, int64_t kv) {
  const int64_t group = x.size(1) / kv;
  const at::Tensor heads = part.Rows(x).unflatten(1, {kv, group});  // [rows, kv, group, n]
  if (part.causal()) return heads.permute({2, 1, 0, 3});
  return heads.transpose(0, 1).flatten(1, 2).unsqueeze(0);
}

// The inverse of QueryLayout: [rows, heads, n].
at::Tensor RowLayout(const at::Tensor& x, const Part& part, int64_t kv) {
  if (part.causal()) return x.permute({2, 1, 0, 3}).flatten(1, 2);
  const int64_t rows = part.last - part.first;
  return x.squeeze(0)
      .unflatten(1, {rows, x.size(2) / rows})
      .transpose(0, 1)
      .reshape({rows, kv * (x.size(2) / rows), x.size(3)});
}

at::Tensor KeyLayout(const at::Tensor& x, const Part& part, int64_t group) {
  const at::Tensor keys = part.Keys(x).transpose(0, 1).unsqueeze(0);
  return part.causal() ? keys.expand({group, -1, -1, -1}) : keys;
}

class MergedFlash : public torch::autograd::Function<MergedFlash> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& q, const at::Tensor& k,
                            const at::Tensor& v, const std::vector<TreeSegment>& segments) {
    const int64_t kv = k.size(1), group = q.size(1) / kv;
    const auto sums = q.options().dtype(q.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
    at::Tensor merged = at::zeros(q.sizes(), sums);
    at::Tensor lse =
        at::full({q.size(0), q.size(1), 1}, -std::numeric_limits<double>::infinity(), sums);
    for (const Part& part : PartsOf(segments)) {
      const auto [result, part_lse] = at::_scaled_dot_product_flash_attention_for_cpu(
          QueryLayout(q, part, kv), KeyLayout(k, part, group), KeyLayout(v, part, group), 0.0,
          part.causal());
      at::Tensor into = part.Rows(merged), into_lse = part.Rows(lse);
      const at::Tensor more = RowLayout(part_lse.unsqueeze(-1), part, kv);
      const at::Tensor both = at::logaddexp(into_lse, more);
      into.mul_((into_lse - both).exp_())
          .addcmul_(RowLayout(result, part, kv).to(sums.dtype()), (more - both).exp_());
      into_lse.copy_(both);
    }
    const at::Tensor result = merged.to(q.scalar_type());
    context->save_for_backward({q, k, v, result, lse});
    std::vector<int64_t> numbers;  // the object may be gone by the time of the backward pass
    for (const TreeSegment& s : segments) {
      numbers.insert(numbers.end(), {s.begin, s.end, s.subtree_end});
    }
    context->saved_data["segments"] = std::move(numbers);
    return result;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &q = saved[0], &k = saved[1], &v = saved[2], &result = saved[3],
                     &lse = saved[4];
    const std::vector<int64_t> numbers = context->saved_data["segments"].toIntVector();
    std::vector<TreeSegment> segments;
    for (size_t i = 0; i < numbers.size(); i += 3) {
      segments.push_back({numbers[i], numbers[i + 1], numbers[i + 2]});
    }
    const int64_t kv = k.size(1), group = q.size(1) / kv;
    at::Tensor dq = at::zeros(q.sizes(), lse.options()), dk = at::zeros(k.sizes(), lse.options()),
               dv = at::zeros(v.sizes(), lse.options());
    const at::Tensor gradient = gradients[0].contiguous();
    for (const Part& part : PartsOf(segments)) {
      const auto [part_dq, part_dk, part_dv] =
          at::_scaled_dot_product_flash_attention_for_cpu_backward(
              QueryLayout(gradient, part, kv), QueryLayout(q, part, kv), KeyLayout(k, part, group),
              KeyLayout(v, part, group), QueryLayout(result, part, kv),
              QueryLayout(lse, part, kv).squeeze(-1), 0.0, part.causal());
      part.Rows(dq).add_(RowLayout(part_dq, part, kv));
      // [batch, kv, keys, n] -> [keys, kv, n]
      part.Keys(dk).add_(part_dk.to(dk.scalar_type()).sum(0).transpose(0, 1));
      part.Keys(dv).add_(part_dv.to(dv.scalar_type()).sum(0).transpose(0, 1));
    }
    return {dq.to(q.scalar_type()), dk.to(k.scalar_type()), dv.to(v.scalar_type()), at::Tensor()};
  }
};

}  // namespace

std::vector<TreeSegment> TreeSegments(const std::vector<int64_t>& lengths,
                                      const std::vector<int64_t>& row_of) {
  const int64_t rows = row_of.empty() ? 0 : *std::max_element(row_of.begin(), row_of.end()) + 1;
  std::vector<int64_t> parent(static_cast<size_t>(rows), kNone);
  const int64_t* tokens = row_of.data();
  for (const int64_t length : lengths) {
    for (int64_t i = 1; i < length; ++i) parent[static_cast<size_t>(tokens[i])] = tokens[i - 1];
    tokens += length;
  }
  // Where a row begins a segment: it doesn't follow the row before it, or that has other followers.
  std::vector<bool> begins(static_cast<size_t>(rows) + 1, false);
  begins.back() = true;
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t before = parent[static_cast<size_t>(row)];
    if (before == row - 1 && row > 0) continue;
    if (before >= row) throw std::logic_error("a row lies before one that it follows");
    begins[static_cast<size_t>(row)] = true;
    if (before != kNone) begins[static_cast<size_t>(before) + 1] = true;
  }
  std::vector<TreeSegment> segments;
  std::vector<size_t> open;  // segments that may still be followed, each by the next
  for (int64_t row = 0; row < rows; ++row) {
    if (!begins[static_cast<size_t>(row)]) continue;
    const int64_t before = parent[static_cast<size_t>(row)];
    while (!open.empty() && segments[open.back()].end != before + 1) {
      segments[open.back()].subtree_end = row;
      open.pop_back();
    }
    if (open.empty() && before != kNone) throw std::logic_error("rows of a prefix lie apart");
    const auto end = std::find(begins.begin() + row + 1, begins.end(), true) - begins.begin();
    open.push_back(segments.size());
    segments.push_back({row, end, end});
  }
  for (const size_t left : open) segments[left].subtree_end = rows;
  return segments;
}

at::Tensor TreeAttention::Forward(int64_t /*layer*/, const at::Tensor& q, const at::Tensor& k,
                                  const at::Tensor& v) {
  return MergedFlash::apply(q, k, v, segments_);
}

}  // namespace attnrl::attention
