// SPDX-License-Identifier: Apache-2.0
#include "common/kernels/bfloat16/amx_tiles.h"
#include "common/kernels/bfloat16/avx512_pairs.h"
// After the instructions.
#include "common/kernels/bfloat16/pair_body.h"
#include "common/kernels/bfloat16/tile_body.h"

namespace attnrl::kernels {

extern const BFloat16Kernels kAmxBFloat16Kernels;
const BFloat16Kernels kAmxBFloat16Kernels = {RoundToPairs, MultiplyTiles};

}  // namespace attnrl::kernels
