// SPDX-License-Identifier: Apache-2.0
#pragma once

// The kernel of kernel.h over sixteen lanes. Included once by each kernel_<isa>.cc, compiled with
// its flags and without floating-point contraction.
#include "common/attention/paged/fold_body.h"
#include "common/attention/paged/kernel.h"
#include "common/attention/paged/weigh_body.h"
#include "common/kernels/row_math.h"

namespace attnrl::attention {
namespace {

using kernels::LoadPart;
using kernels::StorePart;

// Sixteen columns that a tile of `rows` queries takes side by side: few rows take more, since the
// additions of one sum wait for each other. Widening bfloat16 needs registers of its own.
template <typename T>
constexpr int ColumnsOf(int rows) {
  constexpr int kSums = sizeof(T) == 2 ? kWidenedSums : kQueries;
  if (4 * rows <= kSums) return 4;
  return 2 * rows <= kSums ? 2 : 1;
}

// sums[r][c] += sum over k of a[r][k] * b[k], sixteen columns of b for each c, one chain over k for
// each sum. Meanwhile what lies alike at `ahead` is fetched: the stretch that is met next.
template <int Rows, int Columns, typename T>
[[gnu::always_inline]] inline void MultiplyAdd(const float* const* a, int64_t depth, const T* b,
                                               int64_t b_stride, const T* ahead,
                                               Lanes (&sums)[Rows][Columns]) {
  for (int64_t k = 0; k < depth; ++k) {
    for (int c = 0; c < Columns; ++c) __builtin_prefetch(ahead + k * b_stride + c * kLanes);
    Lanes columns[Columns];
    for (int c = 0; c < Columns; ++c) columns[c] = Lanes::Load(b + k * b_stride + c * kLanes);
    for (int r = 0; r < Rows; ++r) {
      const Lanes each = Lanes::Broadcast(a[r][k]);
      for (int c = 0; c < Columns; ++c) sums[r][c] = Fma(each, columns[c], sums[r][c]);
    }
  }
}

// A function of its own, as AddColumns is: within a large one the compiler keeps sums in memory.
template <int Rows, typename T>
[[gnu::noinline]] void Score(Queries& queries, const T* keys, const BlockPiece& piece, int64_t n,
                             const T* ahead) {
  constexpr int kColumns = ColumnsOf<T>(Rows) > kBlockLanes ? kBlockLanes : ColumnsOf<T>(Rows);
  constexpr int64_t kWidth = kColumns * kLanes;
  for (int64_t first = 0; first < kBlockTokens; first += kWidth) {
    if (piece.to <= first || piece.from >= first + kWidth) continue;
    Lanes sums[Rows][kColumns];
    for (int r = 0; r < Rows; ++r) {
      for (int c = 0; c < kColumns; ++c) sums[r][c] = Lanes::Broadcast(0);
    }
    MultiplyAdd<Rows, kColumns>(queries.q, n, keys + first, kBlockTokens, ahead + first, sums);
    const bool whole = piece.from <= first && piece.to >= first + kWidth;
    for (int r = 0; r < Rows; ++r) {
      float all[kWidth];
      float* const target = whole ? queries.weights[r] + first : all;
      for (int c = 0; c < kColumns; ++c) sums[r][c].Store(target + c * kLanes);
      if (whole) continue;
      // What lies beside the piece belongs to others, or was never written.
      for (int64_t i = 0; i < kWidth; ++i) {
        if (first + i >= piece.from && first + i < piece.to) queries.weights[r][first + i] = all[i];
      }
    }
  }
}

// Adds the weighted values of all pieces to Columns * 16 elements of `out`, from `column` on.
template <int Rows, int Columns, typename T>
[[gnu::noinline]] void AddColumns(Queries& queries, const T* values, int64_t block_size,
                                  const BlockPiece* pieces, int32_t count, int64_t n,
                                  int64_t column, const T* ahead) {
  Lanes sums[Rows][Columns];
  for (int r = 0; r < Rows; ++r) {
    const Lanes factor = Lanes::Broadcast(queries.factor[r]);
    for (int c = 0; c < Columns; ++c) {
      sums[r][c] = Mul(Lanes::Load(queries.out[r] + column + c * kLanes), factor);
    }
  }
  const float* weights[Rows];
  for (int32_t p = 0; p < count; ++p) {
    const BlockPiece& piece = pieces[p];
    for (int r = 0; r < Rows; ++r) weights[r] = queries.weights[r] + piece.from;
    MultiplyAdd<Rows, Columns>(weights, piece.to - piece.from,
                               values + piece.block * block_size + piece.from * n + column, n,
                               ahead + piece.from * n + column, sums);
  }
  for (int r = 0; r < Rows; ++r) {
    for (int c = 0; c < Columns; ++c) sums[r][c].Store(queries.out[r] + column + c * kLanes);
  }
}

// The last elements, fewer than sixteen.
template <int Rows, typename T>
void AddLastColumns(Queries& queries, const T* values, int64_t block_size, const BlockPiece* pieces,
                    int32_t count, int64_t n, int64_t column) {
  const int64_t left = n - column;
  for (int r = 0; r < Rows; ++r) {
    float* const out = queries.out[r] + column;
    Lanes sum = Mul(LoadPart(out, left, 0.0F), Lanes::Broadcast(queries.factor[r]));
    for (int32_t p = 0; p < count; ++p) {
      const BlockPiece& piece = pieces[p];
      const T* value = values + piece.block * block_size + piece.from * n + column;
      for (int64_t key = piece.from; key < piece.to; ++key, value += n) {
        sum = Fma(Lanes::Broadcast(queries.weights[r][key]), LoadPart(value, left, T{0}), sum);
      }
    }
    StorePart(sum, out, left);
  }
}

template <int Rows, typename T>
void AddValues(Queries& queries, const T* values, int64_t block_size, const BlockPiece* pieces,
               int32_t count, int64_t n, const T* ahead) {
  constexpr int kColumns = ColumnsOf<T>(Rows);
  int64_t column = 0;
  for (; column + kColumns * kLanes <= n; column += kColumns * kLanes) {
    AddColumns<Rows, kColumns>(queries, values, block_size, pieces, count, n, column, ahead);
  }
  for (; column + kLanes <= n; column += kLanes) {
    AddColumns<Rows, 1>(queries, values, block_size, pieces, count, n, column, ahead);
  }
  if (column < n) {
    AddLastColumns<Rows>(queries, values, block_size, pieces, count, n, column);
  }
}

// Stretches that a tile of queries meets before the next tile does: they stay in the second-level
// cache, and what a tile needs is looked up once for all of them.
inline constexpr int32_t kRunTasks = 8;

template <typename T>
struct Head {
  LayerBlocks<T> blocks;  // at the key head of block 0
  int64_t block_size;     // elements from one block to the next
  int64_t n;              // head_dim
  float scale;
};

template <int Rows, typename T>
void Meet(Queries& queries, const Head<T>& head, const BlockPiece* pieces, int32_t count,
          int64_t next) {
  for (int32_t p = 0; p < count; ++p) {
    Score<Rows>(queries, head.blocks.keys + pieces[p].block * head.block_size, pieces[p], head.n,
                head.blocks.keys + next);
  }
  for (int r = 0; r < Rows; ++r) Weigh(queries, r, head.scale);
  AddValues<Rows>(queries, head.blocks.values, head.block_size, pieces, count, head.n,
                  head.blocks.values + next);
}

template <int Rows, typename T>
void MeetSome(int rows, Queries& queries, const Head<T>& head, const BlockPiece* pieces,
              int32_t count, int64_t next) {
  if (rows == Rows) return Meet<Rows>(queries, head, pieces, count, next);
  if constexpr (Rows > 1) MeetSome<Rows - 1>(rows, queries, head, pieces, count, next);
}

// Some queries against the stretches of tasks [first, last), which have the same rows. A row that
// sees none of a stretch (of its own prompt's end) meets it without effect: its weights are 0.
template <typename T>
void MeetRun(int rows, Queries& queries, const int64_t* sees, const Head<T>& head,
             const PagedArguments& a, int32_t first, int32_t last, int32_t end) {
  for (int32_t t = first; t < last; ++t) {
    const BlockTask& task = a.tasks[t];
    queries.base = task.base;
    int64_t most = 0;
    for (int r = 0; r < rows; ++r) {
      const int64_t seen = sees[r] - task.base;
      queries.visible[r] = seen < 0 ? 0 : seen < kBlockTokens ? seen : kBlockTokens;
      most = queries.visible[r] > most ? queries.visible[r] : most;
    }
    if (most == 0) continue;
    const BlockTask& next = a.tasks[t + 1 < end ? t + 1 : t];
    MeetSome<kQueries>(rows, queries, head, a.pieces + task.first_piece, task.pieces,
                       a.pieces[next.first_piece].block * head.block_size);
  }
}

template <typename T>
void AttendOf(const PagedArguments& a, const LayerBlocks<T>& blocks, const TaskChain& chain,
              int64_t kv_head, int64_t slot) {
  const int64_t n = a.head_dim;
  const int64_t repeats = a.heads / a.kv_heads;
  const int64_t slot_size = slot * a.rows * a.heads;
  const int64_t head_size = kBlockTokens * n;
  const Head<T> head = {{blocks.keys + kv_head * head_size, blocks.values + kv_head * head_size},
                        a.kv_heads * head_size,
                        n,
                        a.scale};
  // Of the chain's rows, the query heads of this key head; behind `slot_size` their sums.
  const auto index = [&](int64_t row, int64_t i) { return row * a.heads + kv_head * repeats + i; };
  // A row's scratch has slots for the segments that it sees, and no more.
  const auto scored_row = [&](int64_t row) {
    return SeesSegment(a, chain, row) ? ScoredRowOf(a, row) : nullptr;
  };
  for (int64_t row = chain.first_row; row < chain.first_row + chain.rows; ++row) {
    for (int64_t i = 0; i < repeats; ++i) {
      const int64_t at = slot_size + index(row, i);
      a.largest[at] = kNoScore;
      a.sum[at] = 0;
      float* const out = a.out + at * n;
      for (int64_t d = 0; d < n; ++d) out[d] = 0;
    }
    const ScoredRow* const scored = scored_row(row);
    for (int64_t i = 0; scored != nullptr && i < repeats; ++i) {
      float* const steps = StepsOf(a, *scored, slot, kv_head * repeats + i);
      for (int64_t s = 0; s < scored->steps; ++s) steps[s] = 0;
    }
  }
  const int32_t last_task = chain.first_task + chain.tasks;
  for (int32_t first = chain.first_task, next = first; first < last_task; first = next) {
    const BlockTask& task = a.tasks[first];
    while (next < last_task && next - first < kRunTasks &&
           a.tasks[next].first_row == task.first_row && a.tasks[next].rows == task.rows) {
      ++next;
    }
    // Tiles as equal as can be: a lone query would wait for its own additions.
    const int64_t all = task.rows * repeats;
    const int64_t tiles = (all + kQueries - 1) / kQueries;
    for (int64_t tile = 0, done = 0; tile < tiles; ++tile) {
      const auto rows = static_cast<int>((all - done + tiles - tile - 1) / (tiles - tile));
      Queries queries;
      int64_t sees[kQueries];
      for (int r = 0; r < rows; ++r) {
        const int64_t row = task.first_row + (done + r) / repeats;
        const int64_t i = (done + r) % repeats;
        const int64_t at = index(row, i);
        queries.q[r] = a.q + at * n;
        queries.out[r] = a.out + (slot_size + at) * n;
        queries.largest[r] = a.largest + slot_size + at;
        queries.sum[r] = a.sum + slot_size + at;
        queries.scored[r] = scored_row(row);
        if (queries.scored[r] != nullptr) {
          queries.steps[r] = StepsOf(a, *queries.scored[r], slot, kv_head * repeats + i);
        }
        sees[r] = a.visible[row];
      }
      done += rows;
      MeetRun(rows, queries, sees, head, a, first, next, last_task);
    }
  }
}

void Attend(const PagedArguments& a, const TaskChain& chain, int64_t kv_head, int64_t slot) {
  if (a.float32.keys != nullptr) {
    AttendOf(a, a.float32, chain, kv_head, slot);
  } else {
    AttendOf(a, a.bfloat16, chain, kv_head, slot);
  }
}

}  // namespace
}  // namespace attnrl::attention
