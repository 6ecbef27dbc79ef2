// SPDX-License-Identifier: Apache-2.0
#pragma once

// The lanes of common/kernels by the names that attention's kernels use: one source of them, so
// that instruction sets are added in one place. The functions over them are found by argument.
#include "common/kernels/lanes.h"

namespace attnrl::attention {

using kernels::kIsa;
using kernels::Lanes;

}  // namespace attnrl::attention
