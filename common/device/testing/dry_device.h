// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <c10/core/Device.h>

#include <cstdint>

namespace attnrl::device {

// For tests only.

// A device that keeps account of memory and computes nothing, so that models of any size can be run
// on it: LibTorch's "meta" device, with an allocator of `bytes` bytes that counts, in multiples of
// 512 as CUDA's does. Tensors have shapes and no values; what is brought to the host, and item(),
// is zero. More than there is throws c10::OutOfMemoryError. Counts what operations return and what
// autograd keeps, not workspaces inside kernels, but for those of attention, which are a GPU's.
// Calls for other sizes replace the size. One thread.
at::Device DryDevice(int64_t bytes);

// Bytes in use, and the most that there were since the last ResetDryPeak.
int64_t DryBytes();
int64_t DryPeak();
void ResetDryPeak();

}  // namespace attnrl::device
