// SPDX-License-Identifier: Apache-2.0
#include "common/attention/fixed_order/kernels.h"

#include "common/kernels/isa.h"

namespace attnrl::attention {

extern const FixedOrderKernels kPortableKernels;
#if defined(__x86_64__)
extern const FixedOrderKernels kAvx2Kernels;
extern const FixedOrderKernels kAvx512Kernels;
#endif

int64_t AttendScratch(int64_t heads, int64_t tokens) { return heads * tokens; }

std::vector<const FixedOrderKernels*> AllFixedOrderKernels() {
  std::vector<const FixedOrderKernels*> all = {&kPortableKernels};
#if defined(__x86_64__)
  if (kernels::FastestIsa() >= kernels::Isa::kAvx2) all.push_back(&kAvx2Kernels);
  if (kernels::FastestIsa() >= kernels::Isa::kAvx512) all.push_back(&kAvx512Kernels);
#endif
  return all;
}

const FixedOrderKernels& GetFixedOrderKernels() {
  static const FixedOrderKernels* const used =
      AllFixedOrderKernels()[static_cast<size_t>(kernels::UsedIsa())];
  return *used;
}

}  // namespace attnrl::attention
