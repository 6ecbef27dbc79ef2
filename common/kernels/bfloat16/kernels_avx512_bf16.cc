// SPDX-License-Identifier: Apache-2.0
#include "common/kernels/bfloat16/avx512_pairs.h"
// After the instructions.
#include "common/kernels/bfloat16/pair_body.h"

namespace attnrl::kernels {

extern const BFloat16Kernels kAvx512BFloat16Kernels;
const BFloat16Kernels kAvx512BFloat16Kernels = {RoundToPairs, MultiplyPairs};

}  // namespace attnrl::kernels
