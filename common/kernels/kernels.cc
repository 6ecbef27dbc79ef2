// SPDX-License-Identifier: Apache-2.0
#include "common/kernels/kernels.h"

#include "common/kernels/isa.h"

namespace attnrl::kernels {

extern const Kernels kPortableKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
#endif

std::vector<const Kernels*> AllKernels() {
  std::vector<const Kernels*> kernels = {&kPortableKernels};
#if defined(__x86_64__)
  if (FastestIsa() >= Isa::kAvx2) kernels.push_back(&kAvx2Kernels);
  if (FastestIsa() >= Isa::kAvx512) kernels.push_back(&kAvx512Kernels);
#endif
  return kernels;
}

const Kernels& UsedKernels() {
  static const Kernels& used = BestOf(AllKernels());
  return used;
}

}  // namespace attnrl::kernels
