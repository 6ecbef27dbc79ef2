// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/ATen.h>

namespace attnrl::model {

// bfloat16 and float16 in float32; float32 and float64 as they are.
inline at::Tensor AtLeastFloat32(const at::Tensor& x) {
  return at::isReducedFloatingType(x.scalar_type()) ? x.to(at::kFloat) : x;
}

}  // namespace attnrl::model
