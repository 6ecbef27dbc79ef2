// SPDX-License-Identifier: Apache-2.0
// A build without CUDA.
#include "common/attention/cuda/decode_kernels.h"
#include "common/attention/cuda/fci_kernels.h"

namespace attnrl::attention {

const DecodeKernels* GpuDecodeKernels() { return nullptr; }

const FciKernels* GpuFciKernels() { return nullptr; }

}  // namespace attnrl::attention
