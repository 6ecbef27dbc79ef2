// SPDX-License-Identifier: Apache-2.0
#include "common/attention/cuda/decode_plan.h"

#include <algorithm>
#include <cassert>

namespace attnrl::attention {

void DecodePlan::Build(const AttentionPlan& plan, int64_t repeats,
                       const std::vector<bool>& elsewhere) {
  assert(repeats >= 1 && repeats <= kDecodeQueries);
  units_.clear();
  const auto tile = static_cast<int32_t>(kDecodeQueries / repeats);
  const std::vector<BlockTask>& tasks = plan.tasks();
  const auto all = static_cast<int32_t>(tasks.size());
  // Neighbours over the same rows, be they of one chain or two, are cut into units alike.
  for (int32_t first = 0, next = 0; first < all; first = next) {
    const BlockTask& task = tasks[static_cast<size_t>(first)];
    while (next < all && next - first < kUnitTasks &&
           tasks[static_cast<size_t>(next)].first_row == task.first_row &&
           tasks[static_cast<size_t>(next)].rows == task.rows) {
      ++next;
    }
    AddUnits(task, first, next - first, tile, elsewhere);
  }

  // Parts by row: counted, then put in the order of the units, which is that of positions.
  const auto rows = static_cast<size_t>(plan.rows());
  first_part_.assign(rows + 1, 0);
  for (const DecodeUnit& unit : units_) {
    for (int32_t i = 0; i < unit.rows; ++i) {
      ++first_part_[static_cast<size_t>(unit.first_row + i) + 1];
    }
  }
  for (size_t row = 0; row < rows; ++row) first_part_[row + 1] += first_part_[row];
  part_of_.resize(static_cast<size_t>(first_part_[rows]));
  next_.assign(first_part_.begin(), first_part_.end() - 1);
  for (const DecodeUnit& unit : units_) {
    for (int32_t i = 0; i < unit.rows; ++i) {
      const auto place = static_cast<size_t>(next_[static_cast<size_t>(unit.first_row + i)]++);
      part_of_[place] = unit.first_part + i;
    }
  }
}

// Rows that are more than a tile are cut into tiles.
void DecodePlan::AddUnits(const BlockTask& rows, int32_t first_task, int32_t tasks, int32_t tile,
                          const std::vector<bool>& elsewhere) {
  const auto is_elsewhere = [&](int32_t row) {
    return !elsewhere.empty() && elsewhere[static_cast<size_t>(row)];
  };
  const int32_t end = rows.first_row + rows.rows;
  for (int32_t row = rows.first_row; row < end;) {
    if (is_elsewhere(row)) {
      ++row;
      continue;
    }
    int32_t last = row + 1;
    while (last < end && last - row < tile && !is_elsewhere(last)) ++last;
    const int32_t part = units_.empty() ? 0 : units_.back().first_part + units_.back().rows;
    units_.push_back({row, last - row, first_task, tasks, part});
    row = last;
  }
}

}  // namespace attnrl::attention
