// SPDX-License-Identifier: Apache-2.0
#include "common/kernels/bfloat16/testing/emulated.h"

#include "common/kernels/bfloat16/testing/emulated_pairs.h"
#include "common/kernels/bfloat16/testing/emulated_tiles.h"

// After the instructions.
#include "common/kernels/bfloat16/pair_body.h"
#include "common/kernels/bfloat16/tile_body.h"

namespace attnrl::kernels {

const BFloat16Kernels kEmulatedAvx512BFloat16 = {RoundToPairs, MultiplyPairs};
const BFloat16Kernels kEmulatedAmxBFloat16 = {RoundToPairs, MultiplyTiles};

}  // namespace attnrl::kernels
