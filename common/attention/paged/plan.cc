// SPDX-License-Identifier: Apache-2.0
#include "common/attention/paged/plan.h"

#include <algorithm>
#include <cassert>

namespace attnrl::attention {
namespace {

// Rows of a chain at most: their running sums stay in the second-level cache, and a long prompt
// becomes enough chains for all threads.
constexpr int32_t kChainRows = 64;

}  // namespace

void AttentionPlan::Build(std::span<const RowGroup> groups) {
  groups_.clear();
  parts_.clear();
  cells_.clear();
  pieces_.clear();
  tasks_.clear();
  chains_.clear();
  row_sets_.clear();
  segments_ = 0;
  places_.clear();
  visible_.clear();
  for (const RowGroup& group : groups) AddGroup(group);
  for (size_t begin = 0; begin < parts_.size();) {
    size_t end = begin + 1;
    int32_t rows = parts_[begin].rows;
    while (end < parts_.size() && parts_[end].shared_cells > 0 &&
           rows + parts_[end].rows <= kChainRows) {
      rows += parts_[end++].rows;
    }
    AddChain(begin, end);
    begin = end;
  }
  row_sets_.push_back(static_cast<int32_t>(chains_.size()));
}

void AttentionPlan::AddGroup(const RowGroup& group) {
  const auto first_row = static_cast<int32_t>(places_.size());
  const auto rows = static_cast<int32_t>(group.rows);
  const auto past = static_cast<int32_t>(group.first_position);
  const int32_t tokens = past + rows;
  const auto first_piece = static_cast<int32_t>(pieces_.size());
  const auto first_cell = static_cast<int32_t>(cells_.size());
  int32_t position = 0;
  for (BlockPiece piece : group.pieces) {
    if (position == tokens) break;
    assert(piece.from == position % kBlockTokens);
    piece.to = std::min(piece.to, piece.from + tokens - position);
    if (piece.from == 0) cells_.push_back({static_cast<int32_t>(pieces_.size()), 0});
    ++cells_.back().pieces;
    pieces_.push_back(piece);
    const int32_t end = position + piece.to - piece.from;
    for (int32_t p = std::max(position, past); p < end; ++p) {
      places_.push_back({piece.block, p % kBlockTokens});
      visible_.push_back(p + 1);
    }
    position = end;
  }
  assert(position == tokens);
  groups_.push_back(
      {first_row, rows, past, first_piece, static_cast<int32_t>(pieces_.size()) - first_piece});
  for (int32_t row = 0; row < rows; row += kChainRows) {
    Part part{first_row + row, std::min(kChainRows, rows - row), first_cell, 0, 0};
    part.cells = (past + row + part.rows + kBlockTokens - 1) / kBlockTokens;
    if (!parts_.empty()) part.shared_cells = SharedCells(parts_.back(), part);
    parts_.push_back(part);
  }
}

bool AttentionPlan::SameCell(const Cell& a, const Cell& b) const {
  return a.pieces == b.pieces &&
         std::equal(pieces_.begin() + a.first_piece, pieces_.begin() + a.first_piece + a.pieces,
                    pieces_.begin() + b.first_piece);
}

// Only stretches that all rows of both see whole.
int32_t AttentionPlan::SharedCells(const Part& a, const Part& b) const {
  const int32_t whole = std::min(visible_[static_cast<size_t>(a.first_row)],
                                 visible_[static_cast<size_t>(b.first_row)]) /
                        kBlockTokens;
  int32_t shared = 0;
  while (shared < whole && SameCell(cells_[static_cast<size_t>(a.first_cell + shared)],
                                    cells_[static_cast<size_t>(b.first_cell + shared)])) {
    ++shared;
  }
  return shared;
}

void AttentionPlan::AddChain(size_t begin, size_t end) {
  auto first_task = static_cast<int32_t>(tasks_.size());
  const int32_t first_row = parts_[begin].first_row;
  const int32_t rows = parts_[end - 1].first_row + parts_[end - 1].rows - first_row;
  AddTasks(begin, end, 0);
  row_sets_.push_back(static_cast<int32_t>(chains_.size()));
  const auto segment = [](const BlockTask& task) { return task.base / kSegmentTokens; };
  const auto from = tasks_.begin() + first_task;
  const auto by_segment = [&](const BlockTask& a, const BlockTask& b) {
    return segment(a) < segment(b);
  };
  // A row's tasks keep their order.
  if (!std::is_sorted(from, tasks_.end(), by_segment)) {
    std::stable_sort(from, tasks_.end(), by_segment);
  }
  const auto all = static_cast<int32_t>(tasks_.size());
  for (int32_t next = first_task; next < all; first_task = next) {
    const int32_t of = segment(tasks_[static_cast<size_t>(first_task)]);
    while (next < all && segment(tasks_[static_cast<size_t>(next)]) == of) ++next;
    chains_.push_back({first_row, rows, first_task, next - first_task, of});
    segments_ = std::max(segments_, of + 1);
  }
}

// Tasks of parts [begin, end), which are alike up to `cell`: what all have in common, then those
// that go on together, each by itself. A row meets its keys by ascending position.
void AttentionPlan::AddTasks(size_t begin, size_t end, int32_t cell) {
  const Part& first = parts_[begin];
  int32_t common = first.cells;
  for (size_t i = begin + 1; i < end; ++i) common = std::min(common, parts_[i].shared_cells);
  const int32_t rows = parts_[end - 1].first_row + parts_[end - 1].rows - first.first_row;
  for (; cell < common; ++cell) {
    const Cell& keys = cells_[static_cast<size_t>(first.first_cell + cell)];
    tasks_.push_back({first.first_row, rows, cell * kBlockTokens, keys.first_piece, keys.pieces});
  }
  if (end - begin == 1) return;
  for (size_t next = begin; next < end;) {
    size_t last = next + 1;
    while (last < end && parts_[last].shared_cells > common) ++last;
    AddTasks(next, last, common);
    next = last;
  }
}

SeparateSequences::SeparateSequences(std::span<const int64_t> lengths) {
  std::vector<size_t> first;
  for (const int64_t length : lengths) {
    first.push_back(pieces_.size());
    for (int64_t left = length; left > 0; left -= kBlockTokens) {
      pieces_.push_back({static_cast<int32_t>(pieces_.size()), 0,
                         static_cast<int32_t>(std::min<int64_t>(left, kBlockTokens))});
    }
  }
  first.push_back(pieces_.size());
  for (size_t i = 0; i < lengths.size(); ++i) {
    groups_.push_back(
        {0, lengths[i], std::span(pieces_).subspan(first[i], first[i + 1] - first[i])});
  }
}

}  // namespace attnrl::attention
