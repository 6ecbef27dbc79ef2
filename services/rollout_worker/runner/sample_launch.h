// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "services/rollout_worker/sampling/cuda/sample_rows.h"

namespace attnrl::rollout {

// Who draws `count` rows: a GPU, or the emulator of the tests. What is refused comes back as the
// driver says it.
using SampleLaunch = cuda::LaunchError (*)(const SampleRows& rows, int64_t count);

// On LibTorch's current stream of its current device; null in a build without CUDA. Any thread.
SampleLaunch GpuSampleLaunch();

}  // namespace attnrl::rollout
