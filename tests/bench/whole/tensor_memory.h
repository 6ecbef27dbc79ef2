// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <functional>

namespace attnrl::bench {

// Bytes of tensors on `device` that `work` held at most at one time beyond those that were there
// before, as LibTorch's allocator of the CPU or of a GPU counts them on this thread.
int64_t PeakBytesOf(c10::Device device, const std::function<void()>& work);

}  // namespace attnrl::bench
