// SPDX-License-Identifier: Apache-2.0
#include "common/attention/cpu_flash.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/attention/flash/kernel.h"
#include "common/attention/parallel.h"
#include "common/kernels/isa.h"

namespace attnrl::attention {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kBlock = FlashKernel::kBlock;

// Float32 with the numbers of each head side by side.
at::Tensor Wide(const at::Tensor& x) {
  const at::Tensor wide = x.detach().to(at::kFloat);
  return wide.stride(2) == 1 ? wide : wide.contiguous();
}

FlashRows RowsOf(const at::Tensor& x, int64_t head) {
  return {x.const_data_ptr<float>() + head * x.stride(1), x.stride(0)};
}

FlashTarget TargetOf(at::Tensor& x, int64_t head) {
  return {x.mutable_data_ptr<float>() + head * x.stride(1), x.stride(0)};
}

// The tensors of a pass as the kernel sees one head.
struct Heads {
  at::Tensor q, k, v, last;

  int64_t count() const { return q.size(1); }
  FlashHead Of(int64_t head) const {
    const int64_t kv = head / (count() / k.size(1));
    return {RowsOf(q, head), RowsOf(k, kv),
            RowsOf(v, kv),   last.const_data_ptr<int32_t>(),
            q.size(2),       static_cast<float>(1 / std::sqrt(static_cast<double>(q.size(2))))};
  }
};

struct Range {
  int64_t root, first, end;
};

std::vector<Range> TreesOf(const at::Tensor& last) {
  const auto* const ends = last.const_data_ptr<int32_t>();
  std::vector<Range> trees;
  for (int64_t root = 0; root < last.numel(); root = trees.back().end) {
    trees.push_back({root, root, ends[root]});
  }
  return trees;
}

std::vector<Range> BlocksOf(const std::vector<Range>& trees) {
  std::vector<Range> blocks;
  for (const Range& tree : trees) {
    for (int64_t first = tree.root; first < tree.end; first += kBlock) {
      blocks.push_back({tree.root, first, std::min(tree.end, first + kBlock)});
    }
  }
  return blocks;
}

// Calls run(head, range) for every head and each of the ranges.
template <typename Run>
void ForHeads(const Heads& heads, const std::vector<Range>& ranges, const Run& run) {
  constexpr int64_t kWorthAThread = int64_t{1} << 20;  // multiply-adds
  constexpr int64_t kWorthAMember = int64_t{1} << 16;
  const auto count = static_cast<int64_t>(ranges.size());
  if (count == 0) return;
  const int64_t rows = heads.q.size(0);
  const int64_t work = rows / count * std::min(rows, kBlock) * heads.q.size(2) + 1;
  const auto grain = [&](int64_t worth) { return (worth + work - 1) / work; };
  ParallelFor(heads.count() * count, grain(kWorthAThread), grain(kWorthAMember),
              [&](int64_t begin, int64_t end) {
                for (int64_t i = begin; i < end; ++i) {
                  run(i / count, ranges[static_cast<size_t>(i % count)]);
                }
              });
}

class Flash : public torch::autograd::Function<Flash> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& q, const at::Tensor& k,
                            const at::Tensor& v, const at::Tensor& last) {
    const Heads heads = {Wide(q), Wide(k), Wide(v), last};
    at::Tensor result = at::empty(q.sizes(), heads.q.options());
    at::Tensor largest = at::empty({q.size(1), q.size(0)}, heads.q.options());
    at::Tensor sum = at::empty_like(largest);
    auto* const largest_at = largest.mutable_data_ptr<float>();
    auto* const sum_at = sum.mutable_data_ptr<float>();
    ForHeads(heads, BlocksOf(TreesOf(last)), [&](int64_t head, const Range& block) {
      const int64_t at = head * q.size(0) + block.first;
      GetFlashKernel().forward(heads.Of(head), block.root, block.first, block.end,
                               TargetOf(result, head), largest_at + at, sum_at + at);
    });
    result = result.to(q.scalar_type());
    context->save_for_backward({q, k, v, result, largest.add_(sum.log_()), last});
    return result;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const Heads heads = {Wide(saved[0]), Wide(saved[1]), Wide(saved[2]), saved[5]};
    const at::Tensor result = Wide(saved[3]), gradient = Wide(gradients[0]);
    const auto* const lse = saved[4].const_data_ptr<float>();
    const int64_t rows = heads.q.size(0);
    // Of keys and values by query head, whose sum is theirs.
    at::Tensor of_q = at::zeros(heads.q.sizes(), heads.q.options());
    at::Tensor of_k = at::zeros_like(of_q), of_v = at::zeros_like(of_q);
    ForHeads(heads, TreesOf(heads.last), [&](int64_t head, const Range& tree) {
      GetFlashKernel().backward(heads.Of(head), tree.root, tree.end,
                                {RowsOf(gradient, head), RowsOf(result, head), lse + head * rows},
                                {TargetOf(of_q, head), TargetOf(of_k, head), TargetOf(of_v, head)});
    });
    const int64_t kv = heads.k.size(1);
    const at::ScalarType dtype = saved[0].scalar_type();
    const auto shared = [&](const at::Tensor& x) {
      return kv == heads.count() ? x.to(dtype)
                                 : x.unflatten(1, {kv, heads.count() / kv}).sum(2).to(dtype);
    };
    return {of_q.to(dtype), shared(of_k), shared(of_v), at::Tensor()};
  }
};

}  // namespace

bool HasForestFlash(at::Device device, at::ScalarType dtype, int64_t head_dim) {
  return device.is_cpu() && kernels::UsedIsa() != kernels::Isa::kPortable &&
         (dtype == at::kFloat || dtype == at::kBFloat16) && head_dim % 16 == 0 &&
         head_dim <= FlashKernel::kMostDim;
}

at::Tensor ForestFlash(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                       const at::Tensor& last) {
  TORCH_CHECK(last.scalar_type() == at::kInt && last.is_contiguous() && last.numel() == q.size(0) &&
                  k.sizes() == v.sizes() && k.size(0) == q.size(0) && q.size(1) % k.size(1) == 0,
              "ForestFlash: q ", q.sizes(), ", k ", k.sizes(), ", v ", v.sizes(), ", last ",
              last.sizes());
  return Flash::apply(q, k, v, last);
}

}  // namespace attnrl::attention
