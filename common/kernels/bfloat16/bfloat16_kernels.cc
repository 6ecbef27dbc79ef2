// SPDX-License-Identifier: Apache-2.0
#include "common/kernels/bfloat16/bfloat16_kernels.h"

#include "common/kernels/isa.h"

namespace attnrl::kernels {

#if defined(__x86_64__)
extern const BFloat16Kernels kAvx512BFloat16Kernels;
extern const BFloat16Kernels kAmxBFloat16Kernels;
#endif

const BFloat16Kernels* BFloat16KernelsOf(Isa isa) {
#if defined(__x86_64__)
  if (isa > FastestIsa()) return nullptr;
  if (isa == Isa::kAmxBFloat16) return &kAmxBFloat16Kernels;
  if (isa == Isa::kAvx512BFloat16) return &kAvx512BFloat16Kernels;
#else
  static_cast<void>(isa);
#endif
  return nullptr;
}

const BFloat16Kernels* UsedBFloat16Kernels() { return BFloat16KernelsOf(UsedIsa()); }

}  // namespace attnrl::kernels
