// SPDX-License-Identifier: Apache-2.0
#include "common/attention/fixed_order/kernels.h"

#include <algorithm>

namespace attnrl::attention {

extern const FixedOrderKernels kPortableKernels;
#if defined(__x86_64__)
extern const FixedOrderKernels kAvx2Kernels;
extern const FixedOrderKernels kAvx512Kernels;
#endif

namespace {

template <typename T>
void Fill(const T* weight, int64_t out, int64_t in, T* panels) {
  std::fill_n(panels, PanelElements(out, in), T{0});
  for (int64_t o = 0; o < out; ++o) {
    T* target = panels + o / kLanes * kLanes * in + o % kLanes;
    for (int64_t i = 0; i < in; ++i) target[i * kLanes] = weight[o * in + i];
  }
}

}  // namespace

int64_t PanelElements(int64_t out, int64_t in) { return (out + kLanes - 1) / kLanes * kLanes * in; }

void FillPanels(const float* weight, int64_t out, int64_t in, float* panels) {
  Fill(weight, out, in, panels);
}

void FillPanels(const uint16_t* weight, int64_t out, int64_t in, uint16_t* panels) {
  Fill(weight, out, in, panels);
}

int64_t AttendScratch(int64_t heads, int64_t tokens) { return heads * tokens; }

std::vector<const FixedOrderKernels*> AllFixedOrderKernels() {
  std::vector<const FixedOrderKernels*> kernels = {&kPortableKernels};
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (avx2) kernels.push_back(&kAvx2Kernels);
  if (avx2 && __builtin_cpu_supports("avx512f")) kernels.push_back(&kAvx512Kernels);
#endif
  return kernels;
}

const FixedOrderKernels& GetFixedOrderKernels() {
  static const FixedOrderKernels* const best = AllFixedOrderKernels().back();
  return *best;
}

}  // namespace attnrl::attention
