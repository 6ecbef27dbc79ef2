// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "common/attention/paged/plan.h"

namespace attnrl::attention {

// Queries of one key head that a block of threads takes at most: rows times query heads of the key
// head, of which there may be as many.
inline constexpr int32_t kDecodeQueries = 16;
// Stretches of keys (BlockTask) that a unit has at most.
inline constexpr int32_t kUnitTasks = 16;

// What a block of threads attends to for one key head: rows [first_row, first_row + rows) over the
// keys of tasks [first_task, first_task + tasks) of the attention plan. Its result for row
// first_row + i is part first_part + i.
struct DecodeUnit {
  int32_t first_row = 0;
  int32_t rows = 0;
  int32_t first_task = 0;
  int32_t tasks = 0;
  int32_t first_part = 0;
};

// How a GPU shares out the attention of a pass: made on the host of the plan that the CPU's kernel
// runs, once a pass, for all layers. What several rows see of their beginning is in units of all of
// them, up to kDecodeQueries queries; long sequences are cut, and the parts of a row are merged by
// their log-sum-exp. Which units there are depends on the plan alone, not on the GPU. Keeps its
// memory from pass to pass. One thread.
class DecodePlan {
 public:
  // `repeats`: query heads of a key head, 1 to kDecodeQueries. `elsewhere`: rows that are left out,
  // which have no parts; empty: none is.
  void Build(const AttentionPlan& plan, int64_t repeats, const std::vector<bool>& elsewhere = {});

  const std::vector<DecodeUnit>& units() const { return units_; }
  // The parts of all rows, each with a result for every query head.
  int64_t parts() const { return static_cast<int64_t>(part_of_.size()); }
  // Row r has the parts part_of()[first_part()[r]] to part_of()[first_part()[r + 1] - 1], by
  // ascending position of their keys.
  const std::vector<int32_t>& first_part() const { return first_part_; }
  const std::vector<int32_t>& part_of() const { return part_of_; }

 private:
  void AddUnits(const BlockTask& rows, int32_t first_task, int32_t tasks, int32_t tile,
                const std::vector<bool>& elsewhere);

  std::vector<DecodeUnit> units_;
  std::vector<int32_t> first_part_;
  std::vector<int32_t> part_of_;
  std::vector<int32_t> next_;  // of each row, while parts are sorted
};

}  // namespace attnrl::attention
