// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "common/attention/attention.h"

namespace attnrl::attention {

// Attention over whole sequences without a cache, differentiable: for training, scoring and the
// reference of the tests. Sequences of similar length are padded to each other and go through one
// ATen scaled_dot_product_attention a group, which never holds a length x length matrix of scores;
// where sequences share rows, a mask of that size.
//
//   DenseAttention attention({17, 400, 390});  // rows 0-16, 17-416, 417-806
//   at::Tensor hidden = transformer.Hidden(ids, positions, attention);
//
// Sequences may share the rows of a common prefix. Each row then asks once, over the keys of one of
// its sequences, and the gradient of a shared key is the sum over all that see it.
//
//   DenseAttention tree({3, 4}, {0, 1, 2, 0, 1, 3, 4});  // of 5 rows, the first two of both
//
// Works on the device of its tensors. One thread at a time; the object may serve several passes of
// the same layout.
class DenseAttention final : public Attention {
 public:
  // Rows of each sequence, in the order of the rows; each > 0.
  explicit DenseAttention(const std::vector<int64_t>& lengths);
  // `row_of`: the row of every token of every sequence, in the order of `lengths`. Rows are counted
  // from 0, none is left out, and sequences that share one share every row before it.
  DenseAttention(const std::vector<int64_t>& lengths, const std::vector<int64_t>& row_of);

  at::Tensor Forward(int64_t layer, const at::Tensor& q, const at::Tensor& k,
                     const at::Tensor& v) override;

 private:
  // Sequences that are padded to one shape: the last rows of each ask, all are seen.
  struct Group {
    int64_t sequences = 0;
    int64_t queries = 0;
    int64_t keys = 0;
    bool masked = false;  // some rows ask elsewhere
    at::Tensor shared;    // int64 [sequences]: rows of each before the first that asks
    at::Tensor mask;      // [sequences, 1, queries, keys], 0 or -inf; undefined: causal
  };

  void MoveTo(const at::Tensor& q);

  std::vector<Group> groups_;
  // Queries: each row once. Keys and values: each row as often as a sequence shows it.
  at::Tensor query_gather_;  // int64 [padded queries]: the row each shows (padding: any row)
  at::Tensor query_of_;      // int64 [rows]: the padded query of each row
  at::Tensor unused_;        // int64: padded queries that stand for nothing
  at::Tensor key_gather_;    // int64 [padded keys]: the row each shows (padding: any row)
  at::Tensor first_key_;     // int64 [rows]: the first padded key of each row
  at::Tensor repeats_;       // int64: padded keys that show a row once more
};

}  // namespace attnrl::attention
