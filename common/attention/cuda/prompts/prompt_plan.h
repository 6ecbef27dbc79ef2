// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/attention/paged/kernel.h"
#include "common/attention/paged/plan.h"

namespace attnrl::attention {

// Rows of one sequence in a pass from which on they are a prompt's: the tiles of LibTorch's flash
// attention have 64 or 128 rows, of which fewer than half would be used below.
inline constexpr int64_t kPromptRows = 32;

// Tokens [from, to) of a block; that at offset o goes to row `row` + o of what is gathered.
struct GatheredPiece {
  int32_t block = 0;
  int32_t from = 0;
  int32_t to = 0;
  int32_t row = 0;
};

// Which rows of a pass go through LibTorch's flash attention, over keys and values that are brought
// side by side for it, and which are left to the kernels of decoding: made once a pass, for all
// layers. One thread.
class PromptPlan {
 public:
  // Takes the groups of kPromptRows rows and more none of which is scored, in their order, as long
  // as all their keys are `most_keys` at most.
  void Build(const AttentionPlan& plan, std::span<const ScoredRow> scored, int64_t most_keys);

  // Keys of all prompts; 0: there are none.
  int64_t keys() const { return key_ends_.back(); }
  // Of each row of the pass, whether it is a prompt's.
  const std::vector<bool>& rows() const { return rows_; }
  const std::vector<GatheredPiece>& pieces() const { return pieces_; }

  // All rows of the pass as sequences, of which those between prompts have no keys: sequence i has
  // rows [query_ends[i], query_ends[i + 1]) and sees the gathered keys [key_ends[i],
  // key_ends[i + 1]), the last row all of them.
  const std::vector<int32_t>& query_ends() const { return query_ends_; }
  const std::vector<int32_t>& key_ends() const { return key_ends_; }

 private:
  void Gather(const AttentionPlan& plan, const AttentionPlan::Group& group);
  void EndSequence(int32_t query_end, int32_t keys);

  std::vector<bool> rows_;
  std::vector<GatheredPiece> pieces_;
  std::vector<int32_t> query_ends_ = {0};
  std::vector<int32_t> key_ends_ = {0};
};

}  // namespace attnrl::attention
