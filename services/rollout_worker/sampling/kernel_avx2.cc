// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/sampling/kernel_body.h"

namespace attnrl::rollout {

extern const SamplerKernel kAvx2SamplerKernel;
const SamplerKernel kAvx2SamplerKernel = {kernels::kIsa, LargestOf, Weigh};

}  // namespace attnrl::rollout
