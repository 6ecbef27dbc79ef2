// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace attnrl::attention {

// Tokens of a block of the paged cache. Attention is summed block by block at absolute positions,
// so this number is part of what decides a row's bits.
inline constexpr int32_t kBlockTokens = 32;

// Sums are kept apart for each segment of so many absolute positions and folded in their order, so
// that several threads can share a long sequence. Part of what decides a row's bits too.
inline constexpr int32_t kSegmentTokens = 32 * kBlockTokens;

// Tokens [from, to) of a block. The token at position p of a sequence lies at p % kBlockTokens of
// its block, whichever sequence it was computed for: where a sequence leaves another one in the
// middle of a block, the two blocks complete each other.
struct BlockPiece {
  int32_t block = 0;
  int32_t from = 0;
  int32_t to = 0;
  bool operator==(const BlockPiece&) const = default;
};

// The new rows of one sequence in a pass.
struct RowGroup {
  int64_t first_position = 0;
  int64_t rows = 1;
  // Where its tokens [0, first_position + rows) lie, by ascending position; the last one may have
  // room for more.
  std::span<const BlockPiece> pieces;
};

// Rows [first_row, first_row + rows) over the keys of one stretch of kBlockTokens positions that
// begins at `base`, or what exists of it.
struct BlockTask {
  int32_t first_row = 0;
  int32_t rows = 0;
  int32_t base = 0;
  int32_t first_piece = 0;
  int32_t pieces = 0;
};

// The tasks of some rows over the keys of one segment, which must run one after the other; chains
// are independent. Those of the same rows follow each other, from segment 0 on.
struct TaskChain {
  int32_t first_row = 0;
  int32_t rows = 0;
  int32_t first_task = 0;
  int32_t tasks = 0;
  int32_t segment = 0;
};

// Where a row's own key and value go.
struct RowPlace {
  int32_t block = 0;
  int32_t offset = 0;
};

// What the attention of a pass reads, in which order, and where it writes: made once a pass, serves
// all layers. Rows whose sequences lie in the same blocks read them together: adjacent groups share
// the tasks of the beginning that they have in common, so put siblings side by side. Plain data in
// buffers that keep their memory from pass to pass. One thread.
class AttentionPlan {
 public:
  // Replaces the plan. The groups' rows follow each other in the pass; no two groups write to one
  // place. Memory: rows + blocks of all groups.
  void Build(std::span<const RowGroup> groups);

  int64_t rows() const { return static_cast<int64_t>(places_.size()); }
  const std::vector<TaskChain>& chains() const { return chains_; }
  // Where the chains of each set of rows begin in chains(), and the end.
  const std::vector<int32_t>& row_sets() const { return row_sets_; }
  // The most chains that a row has.
  int32_t segments() const { return segments_; }
  const std::vector<BlockTask>& tasks() const { return tasks_; }
  const std::vector<BlockPiece>& pieces() const { return pieces_; }
  const std::vector<RowPlace>& places() const { return places_; }
  // How many tokens each row sees: its position + 1.
  const std::vector<int32_t>& visible() const { return visible_; }

  // For an implementation that goes sequence by sequence: the groups as they were given, their
  // pieces in `pieces()` at first_piece.
  struct Group {
    int32_t first_row = 0;
    int32_t rows = 0;
    int32_t first_position = 0;
    int32_t first_piece = 0;
    int32_t pieces = 0;
  };
  const std::vector<Group>& groups() const { return groups_; }

 private:
  // The pieces of one stretch of kBlockTokens positions, in pieces_.
  struct Cell {
    int32_t first_piece = 0;
    int32_t pieces = 0;
  };
  // A group or a part of a long one.
  struct Part {
    int32_t first_row = 0;
    int32_t rows = 0;
    int32_t first_cell = 0;
    int32_t cells = 0;
    int32_t shared_cells = 0;  // leading ones that are those of the part before
  };

  void AddGroup(const RowGroup& group);
  int32_t SharedCells(const Part& a, const Part& b) const;
  void AddChain(size_t begin, size_t end);
  void AddTasks(size_t begin, size_t end, int32_t cell);
  bool SameCell(const Cell& a, const Cell& b) const;

  std::vector<Group> groups_;
  std::vector<Part> parts_;
  std::vector<Cell> cells_;
  std::vector<BlockPiece> pieces_;
  std::vector<BlockTask> tasks_;
  std::vector<TaskChain> chains_;
  std::vector<int32_t> row_sets_;
  int32_t segments_ = 0;
  std::vector<RowPlace> places_;
  std::vector<int32_t> visible_;
};

// Whole sequences that share nothing, in blocks of their own from 0 on: for a single pass.
class SeparateSequences {
 public:
  explicit SeparateSequences(std::span<const int64_t> lengths);

  int64_t blocks() const { return static_cast<int64_t>(pieces_.size()); }
  // Valid as long as this.
  std::span<const RowGroup> groups() const { return groups_; }

 private:
  std::vector<BlockPiece> pieces_;
  std::vector<RowGroup> groups_;
};

}  // namespace attnrl::attention
