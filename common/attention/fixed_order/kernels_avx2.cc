// SPDX-License-Identifier: Apache-2.0
#include "common/attention/fixed_order/kernels_body.h"

namespace attnrl::attention {

extern const FixedOrderKernels kAvx2Kernels;
const FixedOrderKernels kAvx2Kernels = kKernels;

}  // namespace attnrl::attention
