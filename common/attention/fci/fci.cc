// SPDX-License-Identifier: Apache-2.0
#include "common/attention/fci/fci.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

namespace attnrl::attention {
namespace {

// The blocks of one head of one sequence are cut into shares: those of a share go through one
// thread in order and have sums of their own. How many is a matter of the sequence alone, and so
// are the bits of the result.
struct Share {
  const FciPlan* plan = nullptr;
  size_t sequence = 0;
  int64_t first_row = 0;  // of the sequence in the pass
  int64_t head = 0;
  int64_t first_block = 0;
  int64_t stride = 1;  // shares of the head; blocks first_block + i * stride are this one's
  std::vector<double> sums = {};
};

std::vector<Share> MakeShares(const std::vector<FciPlan>& plans, int64_t heads) {
  constexpr int64_t kMostShares = 8;
  constexpr int64_t kBlocksWorthAShare = 4;
  std::vector<Share> shares;
  int64_t first_row = 0;
  for (size_t s = 0; s < plans.size(); ++s) {
    const int64_t stride =
        std::clamp(plans[s].blocks() / kBlocksWorthAShare, int64_t{1}, kMostShares);
    for (int64_t head = 0; head < heads; ++head) {
      for (int64_t first_block = 0; first_block < stride; ++first_block) {
        shares.push_back({&plans[s], s, first_row, head, first_block, stride});
      }
    }
    first_row += plans[s].rows();
  }
  return shares;
}

// Calls run(share, scratch) for each share, on all threads.
template <typename Run>
void RunAll(std::vector<Share>& shares, int64_t head_dim, const Run& run) {
  constexpr size_t kAlignment = 64;
  size_t scratch_size = 0;
  for (const Share& share : shares) {
    scratch_size = std::max(scratch_size, static_cast<size_t>(FciScratch(*share.plan, head_dim)));
  }
  // Threads take the next share as they become free. Which one runs it decides nothing, because
  // each share has sums of its own.
  std::atomic<size_t> next = 0;
  at::parallel_for(0, at::get_num_threads(), 1, [&](int64_t, int64_t) {
    std::vector<float> buffer(scratch_size + kAlignment / sizeof(float));
    void* scratch = buffer.data();
    size_t space = buffer.size() * sizeof(float);
    std::align(kAlignment, scratch_size * sizeof(float), scratch, space);
    for (size_t i = next++; i < shares.size(); i = next++) {
      run(shares[i], static_cast<float*>(scratch));
    }
  });
}

const float* At(const at::Tensor& x, int64_t row, int64_t head) {
  return x.const_data_ptr<float>() + row * x.stride(0) + head * x.stride(1);
}

// [steps, rows]: 1 / size of the step at its tokens.
at::Tensor StepShares(const std::vector<StepRange>& steps, const at::TensorOptions& options) {
  at::Tensor shares = at::zeros({static_cast<int64_t>(steps.size()), steps.back().second}, options);
  for (size_t s = 0; s < steps.size(); ++s) {
    const auto [begin, end] = steps[s];
    shares.select(0, static_cast<int64_t>(s))
        .narrow(0, begin, end - begin)
        .fill_(1.0 / static_cast<double>(end - begin));
  }
  return shares;
}

}  // namespace

absl::Status CheckFciSequence(const FciSequence& sequence, const FciOptions& options) {
  if (options.delta < 0) {
    return absl::InvalidArgumentError(absl::StrCat("delta is ", options.delta, ", below 0"));
  }
  if (sequence.steps.empty()) return absl::InvalidArgumentError("there is no step");
  int64_t end = 0;
  for (size_t i = 0; i < sequence.steps.size(); ++i) {
    const auto [first, last] = sequence.steps[i];
    if (first != end || last <= first) {
      return absl::InvalidArgumentError(absl::StrCat("step ", i, " is [", first, ", ", last,
                                                     "), but the one before ends at ", end));
    }
    end = last;
  }
  const auto steps = static_cast<int64_t>(sequence.steps.size());
  if (const int64_t think = sequence.think_end_step.value_or(0); think < 0 || think >= steps) {
    return absl::InvalidArgumentError(
        absl::StrCat("the end of thinking is in step ", think, " of ", steps));
  }
  return absl::OkStatus();
}

FciAttention::FciAttention(std::vector<FciSequence> sequences, int64_t layers,
                           const FciOptions& options, Kernels kernels)
    : sequences_(std::move(sequences)), layers_(layers), options_(options), kernels_(kernels) {
  for (const FciSequence& sequence : sequences_) {
    plans_.emplace_back(sequence.steps, options.delta);
    scores_.emplace_back(sequence.steps.size(), 0.0F);
  }
}

at::Tensor FciAttention::Forward(int64_t layer, const at::Tensor& q, const at::Tensor& k,
                                 const at::Tensor& v) {
  at::NoGradGuard no_grad;
  const bool with_output = layer + 1 < layers_;
  const bool own = kernels_ == Kernels::kBest && q.device().is_cpu();
  return own ? ForwardOnCpu(q, k, v, with_output) : ForwardByAten(q, k, v, with_output);
}

at::Tensor FciAttention::ForwardOnCpu(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                      bool with_output) {
  // Head by head in memory: rows that lie far apart would share few sets of the cache.
  const auto by_head = [](const at::Tensor& x) {
    return x.to(at::kFloat).transpose(0, 1).contiguous().transpose(0, 1);
  };
  const at::Tensor queries = q.to(at::kFloat).contiguous();
  const at::Tensor keys = by_head(k);
  const at::Tensor values = with_output ? by_head(v) : keys;
  const at::Tensor out = with_output ? at::empty(q.sizes(), queries.options()) : at::Tensor();
  const int64_t head_dim = q.size(2);
  const int64_t repeats = q.size(1) / k.size(1);
  std::vector<Share> shares = MakeShares(plans_, q.size(1));
  const auto run = [&](Share& share, float* scratch) {
    const int64_t row = share.first_row;
    FciBlock block{.plan = share.plan, .head_dim = head_dim, .scratch = scratch};
    block.scale = 1.0F / std::sqrt(static_cast<float>(head_dim));
    block.q = At(queries, row, share.head);
    block.k = At(keys, row, share.head / repeats);
    block.v = At(values, row, share.head / repeats);
    block.q_stride = queries.stride(0);
    block.k_stride = keys.stride(0);
    block.v_stride = values.stride(0);
    if (with_output) {
      block.out = out.mutable_data_ptr<float>() + row * out.stride(0) + share.head * head_dim;
      block.out_stride = out.stride(0);
    }
    share.sums.assign(static_cast<size_t>(share.plan->steps()), 0.0);
    block.sums = share.sums.data();
    for (block.block = share.first_block; block.block < share.plan->blocks();
         block.block += share.stride) {
      GetFciKernel().run(block);
    }
  };
  RunAll(shares, head_dim, run);

  // Added in the order of the shares, not in that of their ends: sums of doubles depend on it.
  for (size_t i = 0; i < shares.size();) {
    std::vector<double> sums = std::move(shares[i].sums);
    const auto end = i + static_cast<size_t>(shares[i].stride);
    const size_t sequence = shares[i].sequence;
    for (++i; i < end; ++i) {
      for (size_t step = 0; step < sums.size(); ++step) sums[step] += shares[i].sums[step];
    }
    for (size_t step = 0; step < sums.size(); ++step) {
      const auto [first, last] = sequences_[sequence].steps[step];
      Raise(sequence, static_cast<int64_t>(step), sums[step] / static_cast<double>(last - first));
    }
  }
  return with_output ? out.to(q.scalar_type()) : out;
}

at::Tensor FciAttention::ForwardByAten(const at::Tensor& q, const at::Tensor& k,
                                       const at::Tensor& v, bool with_output) {
  const at::Tensor out = with_output ? at::empty_like(q) : at::Tensor();
  const int64_t repeats = q.size(1) / k.size(1);
  int64_t first = 0;
  for (size_t s = 0; s < sequences_.size(); ++s) {
    const int64_t rows = plans_[s].rows();
    const at::Tensor share = StepShares(sequences_[s].steps, q.options().dtype(at::kFloat));
    const at::Tensor later = at::ones({rows, rows}, q.options().dtype(at::kBool)).triu(1);
    for (int64_t head = 0; head < q.size(1); ++head) {
      const auto of = [&](const at::Tensor& x, int64_t index) {
        return x.narrow(0, first, rows).select(1, index).to(at::kFloat);
      };
      const at::Tensor scores =
          of(q, head).matmul(of(k, head / repeats).t()) / std::sqrt(static_cast<double>(q.size(2)));
      const at::Tensor p = at::softmax(scores.masked_fill(later, -HUGE_VAL), -1);
      const at::Tensor means = share.matmul(p).matmul(share.t());
      // Row j, column k of `means` is what step j pays to step k; tril keeps j >= k + delta.
      const at::Tensor influence =
          means.tril(-std::min(options_.delta, plans_[s].steps())).sum(0).to(at::kCPU);
      for (int64_t step = 0; step < plans_[s].steps(); ++step) {
        Raise(s, step, influence[step].item<double>());
      }
      if (!with_output) continue;
      out.narrow(0, first, rows).select(1, head).copy_(p.matmul(of(v, head / repeats)));
    }
    first += rows;
  }
  return out;
}

void FciAttention::Raise(size_t sequence, int64_t step, double influence) {
  constexpr int64_t kFirstScored = 2;  // after the prompt and the first response step
  const int64_t end = sequences_[sequence].think_end_step.value_or(plans_[sequence].steps());
  // These steps stay 0 by definition (README.md); as queries they count all the same.
  if (step < kFirstScored || step >= end) return;
  float& score = scores_[sequence][static_cast<size_t>(step)];
  score = std::max(score, static_cast<float>(influence));
}

}  // namespace attnrl::attention
