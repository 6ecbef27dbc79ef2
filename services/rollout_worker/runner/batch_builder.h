// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <optional>

#include "common/attention/cuda/decode_attention.h"
#include "common/attention/paged/plan.h"
#include "common/attention/paged/plan_index.h"
#include "common/device/upload.h"
#include "services/rollout_worker/engine/step_plan.h"
#include "services/rollout_worker/runner/device_sampler.h"
#include "services/rollout_worker/runner/device_scores.h"

namespace attnrl::rollout {

// The tensors of one step, on the model's device.
struct StepTensors {
  at::Tensor ids;        // int64 [rows]
  at::Tensor positions;  // int64 [rows]
  at::Tensor sampled;    // int64 [samples]: the rows after which a token is drawn
  // On a device only, where the CPU has kernels over plain data; what attention reads is one of
  // two:
  std::optional<attention::PlanIndex> attention;  // by operations of LibTorch
  std::optional<attention::DecodeTables> decode;  // by kernels
  std::optional<DeviceDraws> draws;               // unless that is left to the host
};

// Turns a plan into tensors, in one copy to the device; the only place that knows both. `attention`
// is built of the plan's groups. `kernel_repeats`: query heads of a key head where the device has
// kernels for attention, otherwise 0. `draws_kept`: the device has kernels that draw with top-k and
// top-p too. `scores`: what waits there goes along. `upload` keeps its memory from step to step.
StepTensors BuildBatch(const StepPlan& plan, const attention::AttentionPlan& attention,
                       at::Device device, int64_t kernel_repeats, bool draws_kept,
                       DeviceScores& scores, device::Upload& upload);

}  // namespace attnrl::rollout
