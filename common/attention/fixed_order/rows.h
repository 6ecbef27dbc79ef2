// SPDX-License-Identifier: Apache-2.0
#pragma once

// What common/kernels does with one row, by the names that attention's kernels use.
#include "common/attention/fixed_order/lanes.h"
#include "common/kernels/row_math.h"

namespace attnrl::attention {

using kernels::DivideAll;
using kernels::Dot;
using kernels::ExpSum;
using kernels::kLanes;
using kernels::LoadPart;
using kernels::MaxOf;
using kernels::StorePart;

}  // namespace attnrl::attention
