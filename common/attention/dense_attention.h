// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "common/attention/attention.h"

namespace attnrl::attention {

// A sequence as DenseAttention takes it.
struct DenseSequence {
  int64_t length = 0;  // rows
  int64_t shared = 0;  // the first of them, which ask in the company of an earlier sequence
  int64_t first = 0;   // of its rows in `row_of`

  int64_t queries() const { return length - shared; }
};

// The sequences in whose company rows ask: every row asks in the first that has it. Arguments as of
// DenseAttention.
std::vector<DenseSequence> DenseSequences(const std::vector<int64_t>& lengths,
                                          const std::vector<int64_t>& row_of);

// The heads of a layer, in elements of so many bytes.
struct DenseHeads {
  int64_t query = 1;
  int64_t kv = 1;
  int64_t dim = 1;
  int64_t element = 4;
};

// Bytes that DenseAttention takes beside its arguments and its result.
struct DenseMemory {
  int64_t layout = 0;  // masks and indices: once, for all layers
  int64_t call = 0;    // what the way back of a layer needs; it takes about as much for a moment

  // With `layers` layers that wait for their way back at once.
  int64_t Total(int64_t layers) const { return layout + (layers + 1) * call; }
};

// Of sequences in any order; where ATen has a kernel that holds no scores.
DenseMemory DenseMemoryOf(std::vector<DenseSequence> sequences, const DenseHeads& heads);

// Attention over whole sequences without a cache, differentiable: for training, scoring and the
// reference of the tests. Sequences of similar length are padded to each other and go through one
// ATen scaled_dot_product_attention a group, which never holds a length x length matrix of scores;
// where sequences share rows, a mask of that size. DenseMemoryOf says what it takes.
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
