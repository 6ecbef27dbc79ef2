// SPDX-License-Identifier: Apache-2.0
#include "common/attention/paged/kernel_body.h"

namespace attnrl::attention {

extern const PagedKernel kAvx2PagedKernel;
const PagedKernel kAvx2PagedKernel = {kernels::kIsa, Attend, Fold, Finish};

}  // namespace attnrl::attention
