// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <functional>
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

// What a batch is built for.
struct BatchTarget {
  at::Device device = at::Device(at::kCPU);
  // Query heads of a key head where the device has kernels for attention, otherwise 0.
  int64_t kernel_repeats = 0;
  int64_t prompt_keys = 0;  // of the room for prompts (attention::PromptRoom)
  bool draws_kept = false;  // by kernels, with top-k and top-p too
};

// A batch of single tokens, each of which is sampled, with room for `rows` of them and in sizes
// that many batches have in common (attention::DecodeSize), for kernels alone. What is stored for
// the rows beyond the plan's goes to `nowhere`; the numbers go to `place(how many)` on the device.
struct BatchRoom {
  int64_t rows = 0;
  attention::RowPlace nowhere = {};
  std::function<at::Tensor(int64_t)> place = nullptr;
};

// Turns a plan into tensors, in one copy to the device; the only place that knows both. `attention`
// is built of the plan's groups. What waits in `scores` goes along. `upload` keeps its memory from
// step to step.
StepTensors BuildBatch(const StepPlan& plan, const attention::AttentionPlan& attention,
                       const BatchTarget& target, DeviceScores& scores, device::Upload& upload,
                       const std::optional<BatchRoom>& room = std::nullopt);

}  // namespace attnrl::rollout
