// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/runner/sample_launch.h"

namespace attnrl::rollout {

SampleLaunch GpuSampleLaunch() { return nullptr; }

}  // namespace attnrl::rollout
