// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "services/learner/parameters/flat_layout.h"
#include "services/learner/ranks/rank_group.h"

namespace attnrl::learner {

// The gradient of a minibatch whose passes are computed in `parts` at once, shared out over the
// ranks (ZeRO stage 2, Rajbhandari et al., arXiv 1910.02054): each rank keeps the sum of its shard
// alone. With one part a pass adds to that sum directly. Otherwise it adds to a bucket of its own;
// when the bucket is complete for all passes of the rank, its parts travel to their ranks, while
// the layers before it are still differentiated. The sums over parts are PairwiseSum's: with the
// same parts, powers of two of ranks get the same bits.
//
// All ranks call Complete or Skip for the same buckets in the same order. One thread.
class GradientSum {
 public:
  // `group` may be null with one rank. Both outlive this. `sum`: float32 [layout.shard()].
  GradientSum(const FlatLayout& layout, RankGroup* group, at::Tensor sum);

  // Where the pass in progress adds its gradient of a tensor, in its shape.
  at::Tensor Of(const FlatLayout::Slice& slice);
  // The pass in progress has added all to the buckets whose tensors' names begin with `prefix`.
  void Complete(const std::string& prefix);
  // The pass has ended: the same for all other buckets; then waits for what is on its way.
  void EndPass();
  // A rank with fewer passes than others takes part with a gradient of zero.
  void SkipPass() { EndPass(); }

 private:
  struct InFlight {
    const FlatLayout::Bucket* bucket;
    Exchange exchange;
  };

  void Complete(const FlatLayout::Bucket& bucket);
  void Add(const FlatLayout::Bucket& bucket, const at::Tensor& part);
  void FinishOldest();

  const FlatLayout& layout_;
  RankGroup* const group_;
  const at::Tensor sum_;
  const size_t passes_;  // of this rank at once
  // By offset of the bucket: of the pass in progress, and of those before it.
  std::map<int64_t, at::Tensor> open_;
  std::map<int64_t, std::vector<at::Tensor>> complete_;
  std::map<int64_t, bool> done_;  // in this pass
  std::deque<InFlight> in_flight_;
};

}  // namespace attnrl::learner
