// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "common/attention/attention.h"

namespace attnrl::attention {

// Rows [begin, end) that follow each other in every sequence that has them; what goes on after them
// lies in rows [end, subtree_end).
struct TreeSegment {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t subtree_end = 0;
};

// The segments of sequences that share the rows of common prefixes, in the order of their rows.
// Arguments as of DenseAttention; rows must be numbered so that whatever begins with some rows
// follows them before anything else does, as they come in lexicographic order of the sequences
// (std::logic_error otherwise).
std::vector<TreeSegment> TreeSegments(const std::vector<int64_t>& lengths,
                                      const std::vector<int64_t>& row_of);

// Attention over sequences that share prefixes, differentiable: the same function as
// DenseAttention, without a mask and without copying keys for each sequence. Where HasForestFlash
// (cpu_flash.h, which says what memory it takes), by own kernels, for segments of any length.
// Otherwise where LibTorch has flash attention (HasFlash, flash_part.h): each segment attends to
// itself (causal) and is attended to by all that follows it in one call, whose rows are everything
// below it; the parts of a row are merged by their log-sum-exp. In the backward pass each part gets
// the merged result and log-sum-exp: with them a part's probabilities are those of the whole
// softmax, so that its gradients simply add up. That is for long segments; many short ones are
// faster in DenseAttention.
//
// One thread at a time; the object may serve several passes of the same layout.
class TreeAttention final : public Attention {
 public:
  explicit TreeAttention(std::vector<TreeSegment> segments);

  at::Tensor Forward(int64_t layer, const at::Tensor& q, const at::Tensor& k,
                     const at::Tensor& v) override;

 private:
  std::vector<TreeSegment> segments_;
  at::Tensor last_;  // int32 [rows]: behind the last row below each
};

}  // namespace attnrl::attention
