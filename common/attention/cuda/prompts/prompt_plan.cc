// SPDX-License-Identifier: Apache-2.0
#include "common/attention/cuda/prompts/prompt_plan.h"

#include <algorithm>

namespace attnrl::attention {

void PromptPlan::Build(const AttentionPlan& plan, std::span<const ScoredRow> scored,
                       int64_t most_keys) {
  rows_.assign(static_cast<size_t>(plan.rows()), false);
  pieces_.clear();
  query_ends_ = {0};
  key_ends_ = {0};
  for (const AttentionPlan::Group& group : plan.groups()) {
    const int32_t end = group.first_row + group.rows;
    const int32_t tokens = group.first_position + group.rows;
    if (group.rows < kPromptRows || keys() + tokens > most_keys) continue;
    const bool is_scored = std::any_of(scored.begin(), scored.end(), [&](const ScoredRow& row) {
      return row.row >= group.first_row && row.row < end;
    });
    if (is_scored) continue;
    std::fill(rows_.begin() + group.first_row, rows_.begin() + end, true);
    Gather(plan, group);
    EndSequence(group.first_row, 0);
    EndSequence(end, tokens);
  }
  if (keys() > 0) EndSequence(static_cast<int32_t>(plan.rows()), 0);
}

void PromptPlan::Gather(const AttentionPlan& plan, const AttentionPlan::Group& group) {
  int32_t next = key_ends_.back();
  for (int32_t i = 0; i < group.pieces; ++i) {
    const BlockPiece& piece = plan.pieces()[static_cast<size_t>(group.first_piece + i)];
    pieces_.push_back({piece.block, piece.from, piece.to, next - piece.from});
    next += piece.to - piece.from;
  }
}

// Of no rows: none.
void PromptPlan::EndSequence(int32_t query_end, int32_t keys) {
  if (query_end == query_ends_.back()) return;
  query_ends_.push_back(query_end);
  key_ends_.push_back(key_ends_.back() + keys);
}

}  // namespace attnrl::attention
