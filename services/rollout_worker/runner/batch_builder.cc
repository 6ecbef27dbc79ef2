// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/runner/batch_builder.h"

#include <ATen/ATen.h>

#include <cstdint>

namespace attnrl::rollout {

StepTensors BuildBatch(const StepPlan& plan, at::Device device) {
  std::vector<int64_t> positions;
  std::vector<int64_t> last_rows;
  positions.reserve(plan.ids.size());
  StepTensors batch;
  for (const PlannedSequence& sequence : plan.sequences) {
    for (int64_t row = 0; row < sequence.rows; ++row) positions.push_back(sequence.past + row);
    last_rows.push_back(static_cast<int64_t>(positions.size()) - 1);
    batch.sequences.push_back({sequence.slot, sequence.past, sequence.rows});
  }
  batch.ids = at::tensor(plan.ids, at::kLong).to(device);
  batch.positions = at::tensor(positions, at::kLong).to(device);
  batch.last_rows = at::tensor(last_rows, at::kLong).to(device);
  return batch;
}

}  // namespace attnrl::rollout
