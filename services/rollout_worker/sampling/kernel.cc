// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/sampling/kernel.h"

#include "common/kernels/isa.h"

namespace attnrl::rollout {

extern const SamplerKernel kPortableSamplerKernel;
#if defined(__x86_64__)
extern const SamplerKernel kAvx2SamplerKernel;
extern const SamplerKernel kAvx512SamplerKernel;
#endif

std::vector<const SamplerKernel*> AllSamplerKernels() {
  std::vector<const SamplerKernel*> all = {&kPortableSamplerKernel};
#if defined(__x86_64__)
  if (kernels::FastestIsa() >= kernels::Isa::kAvx2) all.push_back(&kAvx2SamplerKernel);
  if (kernels::FastestIsa() >= kernels::Isa::kAvx512) all.push_back(&kAvx512SamplerKernel);
#endif
  return all;
}

const SamplerKernel& GetSamplerKernel() {
  static const SamplerKernel& used = kernels::BestOf(AllSamplerKernels());
  return used;
}

}  // namespace attnrl::rollout
