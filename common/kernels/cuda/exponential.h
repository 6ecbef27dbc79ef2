// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/kernels/cuda/kernel_language.h"

namespace attnrl::cuda {

// exp(x) to the bits of the CPU's kernels (common/kernels/row_math.h, Exp), operation by operation.
ATTNRL_DEVICE float HostExp(float x) {
  x = x > -87.3F ? x : -87.3F;
  x = x < 88.0F ? x : 88.0F;
  const float n = RoundToEven(Times(x, 1.44269504088896341F));
  float r = Fma(n, -0.693359375F, x);
  r = Fma(n, 2.12194440e-4F, r);
  float p = 1.9875691500e-4F;
  p = Fma(p, r, 1.3981999507e-3F);
  p = Fma(p, r, 8.3334519073e-3F);
  p = Fma(p, r, 4.1665795894e-2F);
  p = Fma(p, r, 1.6666665459e-1F);
  p = Fma(p, r, 5.0000001201e-1F);
  p = Plus(Fma(p, Times(r, r), r), 1.0F);
  return Times(p, FloatOf(static_cast<uint32_t>(static_cast<int32_t>(n) + 127) << 23));
}

}  // namespace attnrl::cuda
