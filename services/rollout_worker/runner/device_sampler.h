// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "common/device/upload.h"
#include "services/rollout_worker/engine/step_plan.h"
#include "services/rollout_worker/runner/sample_launch.h"

namespace attnrl::rollout {

// What the rows of a step are drawn with, on the device of their logits: a random number and a
// temperature each, 16 bytes a row, and 16 more where a row uses top-k or top-p. One thread.
class DeviceDraws {
 public:
  // Adds what `rows` are drawn with to what goes to the device, with room for `room` rows; those
  // beyond `rows` are drawn as any.
  DeviceDraws(std::span<const SampledRow> rows, device::Upload& upload, int64_t room = 0);
  // After the upload was sent.
  void Receive(const device::Upload& upload);

  // Draws for rows [first, first + n): logits float32 [n, vocabulary] -> float64 [n, 3] on their
  // device: id (-1 where the logits are not finite), log-prob, entropy. The definition of
  // services/rollout_worker/sampling/README.md, with sums of blocks in float64 and the device's
  // exponential: the tokens of Sampler but where a random number falls on the rounding between two.
  // Without top-k and top-p. Waits for nothing. Memory: five times the logits.
  at::Tensor Draw(const at::Tensor& logits, int64_t first) const;

  bool truncates() const { return truncates_; }
  // The same by kernels (services/rollout_worker/sampling/cuda): the tokens of Sampler to the bit
  // of every sum, in three launches, or five with top-k or top-p. Throws std::runtime_error where
  // one is refused. Memory: 24 bytes for each 1,024 logits.
  at::Tensor DrawBy(SampleLaunch launch, const at::Tensor& logits, int64_t first) const;

 private:
  device::Upload::Part uniform_part_, temperature_part_, top_k_part_, top_p_part_;
  bool truncates_ = false;
  bool any_greedy_ = false;
  at::Tensor uniforms_;            // float64 [rows, 1]
  at::Tensor given_temperatures_;  // float64 [rows, 1]
  at::Tensor temperatures_;        // the same, but 1 for greedy rows
  at::Tensor greedy_;              // bool [rows, 1]
  at::Tensor top_k_, top_p_;       // int64 and float64 [rows], where a row truncates
};

// Brings drawn tokens, float64 [n, 3], to the host in one copy, for which it waits.
std::vector<SampledToken> FetchTokens(const at::Tensor& drawn);

}  // namespace attnrl::rollout
