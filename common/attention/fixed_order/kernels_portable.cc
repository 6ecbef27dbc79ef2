// SPDX-License-Identifier: Apache-2.0
#include "common/attention/fixed_order/kernels_body.h"

namespace attnrl::attention {

extern const FixedOrderKernels kPortableKernels;
const FixedOrderKernels kPortableKernels = kKernels;

}  // namespace attnrl::attention
