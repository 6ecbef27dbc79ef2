// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "common/attention/cuda/decode_plan.h"
#include "common/attention/paged/plan.h"
#include "common/kernels/cuda/launch.h"

namespace attnrl::attention {

// Weights of some keys of one step: their sum, of exp2(score - largest).
struct StepPiece {
  float sum;
  float largest;
};

// A row whose attention to some earlier steps of its sequence is added up, as ScoredRow
// (common/attention/paged/kernel.h) with memory of the GPU.
struct DecodeScoredRow {
  int32_t first_key = 0;
  int32_t steps = 0;      // 0 or more
  int64_t first_end = 0;  // where its ends begin in PagedDecode::ends: [steps], ascending
  float* sums = nullptr;  // [layers, heads, stride], added to
  int64_t stride = 0;
  // Where its StepPieces() pieces begin among those of a head in PagedDecode::step_pieces.
  int64_t first_piece = 0;

  // One for each stretch of keys and each step that begins in it, at most.
  static int64_t StepPieces(int64_t first_key, int64_t last_end, int64_t steps) {
    return steps == 0 ? 0 : (last_end - 1) / kBlockTokens - first_key / kBlockTokens + steps;
  }
};

// One layer of a pass over a paged cache of the layout of LayerBlocks
// (common/attention/paged/kernel.h). All pointers are of the GPU; T is float or cuda::BFloat16.
template <typename T>
struct PagedDecode {
  // Of the AttentionPlan and the DecodePlan.
  const DecodeUnit* units = nullptr;
  const BlockTask* tasks = nullptr;
  const BlockPiece* pieces = nullptr;
  const int32_t* visible = nullptr;
  const int32_t* first_part = nullptr;
  const int32_t* part_of = nullptr;
  const int32_t* merged = nullptr;  // the rows that have parts; null: all
  const T* keys = nullptr;          // of the layer
  const T* values = nullptr;
  const T* q = nullptr;  // [rows, heads, head_dim]
  int32_t heads = 0;     // at most kDecodeQueries a key head
  int32_t kv_heads = 0;
  float scale = 1;  // of the dot products
  int32_t layer = 0;
  // Rows that are scored, and for each row its index among these or -1; null: none is.
  const DecodeScoredRow* scored = nullptr;
  const int32_t* scored_of = nullptr;
  const int32_t* ends = nullptr;
  // Scratch, [heads, step_pieces_a_head].
  StepPiece* step_pieces = nullptr;
  int64_t step_pieces_a_head = 0;
  // Scratch: [parts, heads, head_dim] and twice [parts, heads].
  float* part_out = nullptr;
  float* part_largest = nullptr;  // in powers of two
  float* part_sum = nullptr;
  T* out = nullptr;      // [rows, heads, head_dim]
  float* lse = nullptr;  // [rows, heads]: natural log of the sum of exp(score); null: not wanted
};

// Attention of the pass's rows, on `stream`: two launches. `rows`: how many are merged. `head_dim`
// is 64 or 128.
template <typename T>
[[nodiscard]] cuda::LaunchError LaunchPagedDecode(const PagedDecode<T>& pass, int64_t units,
                                                  int64_t rows, int64_t head_dim,
                                                  cuda::Stream stream);

}  // namespace attnrl::attention
