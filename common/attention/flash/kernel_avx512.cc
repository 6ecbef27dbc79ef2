// SPDX-License-Identifier: Apache-2.0
#include "common/attention/flash/kernel_body.h"

namespace attnrl::attention {

extern const FlashKernel kAvx512FlashKernel;
const FlashKernel kAvx512FlashKernel = {kernels::kIsa, Forward, Backward};

}  // namespace attnrl::attention
