// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <vector>

#include "common/attention/attention.h"
#include "services/rollout_worker/engine/step_plan.h"

namespace attnrl::rollout {

// The tensors of one step, on the model's device.
struct StepTensors {
  at::Tensor ids;        // int64 [rows]
  at::Tensor positions;  // int64 [rows]
  at::Tensor last_rows;  // int64 [sequences]: the row whose logits each sequence wants
  std::vector<attention::SequenceRows> sequences;
};

// Turns a plan into tensors; the only place that knows both.
StepTensors BuildBatch(const StepPlan& plan, at::Device device);

}  // namespace attnrl::rollout
