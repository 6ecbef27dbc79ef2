// SPDX-License-Identifier: Apache-2.0
#include <c10/cuda/CUDAStream.h>

#include "services/rollout_worker/runner/sample_launch.h"

namespace attnrl::rollout {

SampleLaunch GpuSampleLaunch() {
  return [](const SampleRows& rows, int64_t count) {
    return LaunchSampleRows(rows, count, c10::cuda::getCurrentCUDAStream().stream());
  };
}

}  // namespace attnrl::rollout
