// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include "services/rollout_worker/engine/step_plan.h"

namespace attnrl::rollout {

// The tensors of one step, on the model's device.
struct StepTensors {
  at::Tensor ids;        // int64 [rows]
  at::Tensor positions;  // int64 [rows]
  at::Tensor sampled;    // int64 [samples]: the rows after which a token is drawn
};

// Turns a plan into tensors, in one copy to the device; the only place that knows both.
StepTensors BuildBatch(const StepPlan& plan, at::Device device);

}  // namespace attnrl::rollout
