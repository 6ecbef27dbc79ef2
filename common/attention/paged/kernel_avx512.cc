// SPDX-License-Identifier: Apache-2.0
#include "common/attention/paged/kernel_body.h"

namespace attnrl::attention {

extern const PagedKernel kAvx512PagedKernel;
const PagedKernel kAvx512PagedKernel = {kernels::kIsa, Attend, Fold, Finish};

}  // namespace attnrl::attention
