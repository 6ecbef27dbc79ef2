// SPDX-License-Identifier: Apache-2.0
#include "common/attention/tree_attention.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <utility>

#include "common/attention/cpu_flash.h"
#include "common/attention/flash_part.h"

namespace attnrl::attention {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kNoParent = -1;

std::vector<FlashPart> FlashPartsOf(const std::vector<TreeSegment>& segments) {
  std::vector<FlashPart> parts;
  for (const TreeSegment& s : segments) {
    parts.push_back({s.begin, s.end, s.begin, s.end});
    if (s.subtree_end > s.end) parts.push_back({s.end, s.subtree_end, s.begin, s.end});
  }
  return parts;
}

class MergedFlash : public torch::autograd::Function<MergedFlash> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& q, const at::Tensor& k,
                            const at::Tensor& v, const std::vector<TreeSegment>& segments) {
    const auto sums = q.options().dtype(q.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
    at::Tensor merged = at::zeros(q.sizes(), sums);
    at::Tensor lse =
        at::full({q.size(0), q.size(1), 1}, -std::numeric_limits<double>::infinity(), sums);
    for (const FlashPart& part : FlashPartsOf(segments)) {
      const FlashResult more = RunFlash(part, q, k, v);
      at::Tensor into = part.Rows(merged), into_lse = part.Rows(lse);
      const at::Tensor both = at::logaddexp(into_lse, more.lse);
      into.mul_((into_lse - both).exp_())
          .addcmul_(more.result.to(sums.dtype()), (more.lse - both).exp_());
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
    at::Tensor dq = at::zeros(q.sizes(), lse.options()), dk = at::zeros(k.sizes(), lse.options()),
               dv = at::zeros(v.sizes(), lse.options());
    const at::Tensor gradient = gradients[0].contiguous();
    for (const FlashPart& part : FlashPartsOf(segments)) {
      const FlashGradients more = BackFlash(part, gradient, q, k, v, result, lse);
      part.Rows(dq).add_(more.q);
      part.Keys(dk).add_(more.k);
      part.Keys(dv).add_(more.v);
    }
    return {dq.to(q.scalar_type()), dk.to(k.scalar_type()), dv.to(v.scalar_type()), at::Tensor()};
  }
};

}  // namespace

std::vector<TreeSegment> TreeSegments(const std::vector<int64_t>& lengths,
                                      const std::vector<int64_t>& row_of) {
  const int64_t rows = row_of.empty() ? 0 : *std::max_element(row_of.begin(), row_of.end()) + 1;
  std::vector<int64_t> parent(static_cast<size_t>(rows), kNoParent);
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
    if (before != kNoParent) begins[static_cast<size_t>(before) + 1] = true;
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
    if (open.empty() && before != kNoParent) throw std::logic_error("rows of a prefix lie apart");
    const auto end = std::find(begins.begin() + row + 1, begins.end(), true) - begins.begin();
    open.push_back(segments.size());
    segments.push_back({row, end, end});
  }
  for (const size_t left : open) segments[left].subtree_end = rows;
  return segments;
}

TreeAttention::TreeAttention(std::vector<TreeSegment> segments) : segments_(std::move(segments)) {
  std::vector<int32_t> last;
  for (const TreeSegment& s : segments_) {
    last.resize(static_cast<size_t>(s.end), static_cast<int32_t>(s.subtree_end));
  }
  last_ = at::tensor(last, at::TensorOptions(at::kInt));
}

at::Tensor TreeAttention::Forward(int64_t /*layer*/, const at::Tensor& q, const at::Tensor& k,
                                  const at::Tensor& v) {
  if (HasForestFlash(q.device(), q.scalar_type(), q.size(2))) return ForestFlash(q, k, v, last_);
  return MergedFlash::apply(q, k, v, segments_);
}

}  // namespace attnrl::attention
