// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/runner/batch_builder.h"

#include <ATen/ATen.h>

#include <cstdint>

namespace attnrl::rollout {

StepTensors BuildBatch(const StepPlan& plan, at::Device device) {
  const int64_t rows = plan.rows();
  const auto samples = static_cast<int64_t>(plan.samples.size());
  at::Tensor packed = at::empty({2 * rows + samples}, at::TensorOptions(at::kLong));
  auto* next = packed.mutable_data_ptr<int64_t>();
  for (const int32_t id : plan.ids) *next++ = id;
  for (const attention::RowGroup& group : plan.groups) {
    for (int64_t row = 0; row < group.rows; ++row) *next++ = group.first_position + row;
  }
  for (const SampledRow& sample : plan.samples) *next++ = sample.row;
  packed = packed.to(device);
  return {packed.narrow(0, 0, rows), packed.narrow(0, rows, rows),
          packed.narrow(0, 2 * rows, samples)};
}

}  // namespace attnrl::rollout
