// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "common/attention/paged/plan.h"
#include "common/device/upload.h"

namespace attnrl::attention {

// What a plan reads and writes, as tensors of a device that has no kernel of its own: made once a
// pass, serves all layers. What goes to the device are two numbers a row and two a block that a
// sequence lies in, among the other numbers of the pass; the places of single tokens are computed
// there.
//
//   device::Upload upload;
//   PlanIndex index(plan, upload);
//   upload.Send(device);
//   index.Receive(upload);
//
// Memory: 8 bytes a token of each sequence on the device. One thread.
class PlanIndex {
 public:
  PlanIndex(const AttentionPlan& plan, device::Upload& upload);
  // After the upload was sent; it isn't needed any more then.
  void Receive(const device::Upload& upload);

  // Where the rows' own keys and values go: int64 [rows] each.
  const at::Tensor& row_blocks() const { return row_blocks_; }
  const at::Tensor& row_offsets() const { return row_offsets_; }

  // The new rows of a sequence, and where all its tokens lie.
  struct Group {
    int64_t first_row = 0;
    int64_t rows = 0;
    int64_t tokens = 0;  // the rows are the last ones of these
    at::Tensor blocks;   // int64 [tokens]
    at::Tensor offsets;
  };
  const std::vector<Group>& groups() const { return groups_; }

 private:
  device::Upload::Part row_block_part_, row_offset_part_, piece_block_part_, piece_token_part_;
  at::Tensor row_blocks_;
  at::Tensor row_offsets_;
  std::vector<Group> groups_;
};

}  // namespace attnrl::attention
