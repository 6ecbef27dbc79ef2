// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <memory>
#include <set>

#include "common/attention/cuda/decode_kernels.h"
#include "common/device/upload.h"
#include "services/rollout_worker/engine/score_sums.h"

namespace attnrl::rollout {

class DeviceScoreSums;

// The sums of online FCI in the memory of a GPU. Where steps have ended since the last pass, the
// next one begins with one launch for all of them, whose arguments travel with its other numbers;
// the host waits for a response's sums only when it has ended. Must outlive what it makes. One
// thread. Memory: 2 * rows floats a step of each response, with room for twice the steps.
class DeviceScores {
 public:
  // rows: layers * heads.
  DeviceScores(int64_t rows, at::Device device) : rows_(rows), device_(device) {}

  std::unique_ptr<ScoreSums> Make();

  // Adds what waits to the numbers of a pass, and then, after these were sent and before the pass,
  // does it. Throws std::runtime_error where the launch is refused.
  void Add(device::Upload& upload);
  void Apply(const device::Upload& upload, const attention::DecodeKernels& kernels);

 private:
  friend class DeviceScoreSums;

  const int64_t rows_;
  const at::Device device_;
  std::set<DeviceScoreSums*> waiting_;
  // Of the pass.
  device::Upload::Part part_;
  int32_t count_ = 0;
};

}  // namespace attnrl::rollout
