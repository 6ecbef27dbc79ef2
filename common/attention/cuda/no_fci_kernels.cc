// SPDX-License-Identifier: Apache-2.0
#include "common/attention/cuda/fci_kernels.h"

namespace attnrl::attention {

const FciKernels* GpuFciKernels() { return nullptr; }

}  // namespace attnrl::attention
