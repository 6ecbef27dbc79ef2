// SPDX-License-Identifier: Apache-2.0
#include "common/attention/fci/kernel_body.h"

namespace attnrl::attention {

extern const FciKernel kPortableFciKernel;
const FciKernel kPortableFciKernel = {kernels::kIsa, RunBlock};

}  // namespace attnrl::attention
