// SPDX-License-Identifier: Apache-2.0
#include "common/attention/cuda/decode_kernels.h"

namespace attnrl::attention {

const DecodeKernels* GpuDecodeKernels() { return nullptr; }

}  // namespace attnrl::attention
