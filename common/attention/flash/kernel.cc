// SPDX-License-Identifier: Apache-2.0
#include "common/attention/flash/kernel.h"

#include "common/kernels/isa.h"

namespace attnrl::attention {

extern const FlashKernel kPortableFlashKernel;
#if defined(__x86_64__)
extern const FlashKernel kAvx2FlashKernel;
extern const FlashKernel kAvx512FlashKernel;
#endif

std::vector<const FlashKernel*> AllFlashKernels() {
  std::vector<const FlashKernel*> all = {&kPortableFlashKernel};
#if defined(__x86_64__)
  if (kernels::FastestIsa() >= kernels::Isa::kAvx2) all.push_back(&kAvx2FlashKernel);
  if (kernels::FastestIsa() >= kernels::Isa::kAvx512) all.push_back(&kAvx512FlashKernel);
#endif
  return all;
}

const FlashKernel& GetFlashKernel() {
  static const FlashKernel& used = kernels::BestOf(AllFlashKernels());
  return used;
}

}  // namespace attnrl::attention
