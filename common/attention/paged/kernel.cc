// SPDX-License-Identifier: Apache-2.0
#include "common/attention/paged/kernel.h"

#include "common/kernels/isa.h"

namespace attnrl::attention {

extern const PagedKernel kPortablePagedKernel;
#if defined(__x86_64__)
extern const PagedKernel kAvx2PagedKernel;
extern const PagedKernel kAvx512PagedKernel;
#endif

std::vector<const PagedKernel*> AllPagedKernels() {
  std::vector<const PagedKernel*> all = {&kPortablePagedKernel};
#if defined(__x86_64__)
  if (kernels::FastestIsa() >= kernels::Isa::kAvx2) all.push_back(&kAvx2PagedKernel);
  if (kernels::FastestIsa() >= kernels::Isa::kAvx512) all.push_back(&kAvx512PagedKernel);
#endif
  return all;
}

const PagedKernel& GetPagedKernel() {
  static const PagedKernel& used = kernels::BestOf(AllPagedKernels());
  return used;
}

}  // namespace attnrl::attention
