// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "common/attention/attention.h"

namespace attnrl::attention {

// Attention over whole sequences without a cache, differentiable: for training, scoring and the
// reference of the tests. Sequences of similar length are padded to each other and go through one
// ATen scaled_dot_product_attention a group, which never holds a length x length matrix.
//
//   DenseAttention attention({17, 400, 390});  // rows 0-16, 17-416, 417-806
//   at::Tensor hidden = transformer.Hidden(ids, positions, attention);
//
// Works on the device of its tensors. One thread at a time; the object may serve several passes of
// the same layout.
class DenseAttention final : public Attention {
 public:
  // Rows of each sequence, in the order of the rows; each > 0.
  explicit DenseAttention(const std::vector<int64_t>& lengths);

  at::Tensor Forward(int64_t layer, const at::Tensor& q, const at::Tensor& k,
                     const at::Tensor& v) override;

 private:
  // Sequences that are padded to one length.
  struct Group {
    int64_t sequences = 0;
    int64_t length = 0;
  };

  void MoveTo(const at::Device& device);

  std::vector<Group> groups_;
  at::Tensor gather_;   // int64 [padded rows]: the row each padded row shows (padding: any row)
  at::Tensor scatter_;  // int64 [rows]: the padded row of each row
  at::Tensor padding_;  // int64 [padding rows]: padded rows that stand for nothing
};

}  // namespace attnrl::attention
