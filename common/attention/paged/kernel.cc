// SPDX-License-Identifier: Apache-2.0
#include "common/attention/paged/kernel.h"

namespace attnrl::attention {

extern const PagedKernel kPortablePagedKernel;
#if defined(__x86_64__)
extern const PagedKernel kAvx2PagedKernel;
extern const PagedKernel kAvx512PagedKernel;
#endif

std::vector<const PagedKernel*> AllPagedKernels() {
  std::vector<const PagedKernel*> kernels = {&kPortablePagedKernel};
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (avx2) kernels.push_back(&kAvx2PagedKernel);
  if (avx2 && __builtin_cpu_supports("avx512f")) kernels.push_back(&kAvx512PagedKernel);
#endif
  return kernels;
}

const PagedKernel& GetPagedKernel() {
  static const PagedKernel* const best = AllPagedKernels().back();
  return *best;
}

}  // namespace attnrl::attention
