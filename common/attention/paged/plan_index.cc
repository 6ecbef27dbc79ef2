// SPDX-License-Identifier: Apache-2.0
#include "common/attention/paged/plan_index.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace attnrl::attention {

PlanIndex::PlanIndex(const AttentionPlan& plan, device::Upload& upload) {
  row_block_part_ = upload.Add(plan.rows());
  row_offset_part_ = upload.Add(plan.rows());
  const auto pieces = static_cast<int64_t>(plan.pieces().size());
  piece_block_part_ = upload.Add(pieces);
  piece_token_part_ = upload.Add(pieces);
  int64_t* block = upload.At(row_block_part_);
  int64_t* offset = upload.At(row_offset_part_);
  for (const RowPlace& place : plan.places()) {
    *block++ = place.block;
    *offset++ = place.offset;
  }
  block = upload.At(piece_block_part_);
  int64_t* tokens = upload.At(piece_token_part_);
  for (const BlockPiece& piece : plan.pieces()) {
    *block++ = piece.block;
    *tokens++ = piece.to - piece.from;
  }
  for (const AttentionPlan::Group& group : plan.groups()) {
    groups_.push_back({.first_row = group.first_row,
                       .rows = group.rows,
                       .tokens = group.first_position + group.rows,
                       .blocks = {},
                       .offsets = {}});
  }
}

void PlanIndex::Receive(const device::Upload& upload) {
  row_blocks_ = upload.Integers(row_block_part_);
  row_offsets_ = upload.Integers(row_offset_part_);
  int64_t tokens = 0, longest = 0;
  for (const Group& group : groups_) {
    tokens += group.tokens;
    longest = std::max(longest, group.tokens);
  }
  // The number of tokens is told, so that the device needn't say it.
  const at::Tensor blocks = at::repeat_interleave(
      upload.Integers(piece_block_part_), upload.Integers(piece_token_part_), /*dim=*/0, tokens);
  // The token at position p lies at p % kBlockTokens of its block, in every sequence.
  const at::Tensor offsets = at::arange(longest, blocks.options()).remainder_(kBlockTokens);
  int64_t first = 0;
  for (Group& group : groups_) {
    group.blocks = blocks.narrow(0, first, group.tokens);
    group.offsets = offsets.narrow(0, 0, group.tokens);
    first += group.tokens;
  }
}

}  // namespace attnrl::attention
