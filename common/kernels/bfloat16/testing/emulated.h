// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/kernels/bfloat16/bfloat16_kernels.h"

namespace attnrl::kernels {

// The kernels of kAvx512BFloat16 and kAmxBFloat16 over instructions that are emulated, which any
// machine runs, some thousand times slower.
extern const BFloat16Kernels kEmulatedAvx512BFloat16;
extern const BFloat16Kernels kEmulatedAmxBFloat16;

}  // namespace attnrl::kernels
