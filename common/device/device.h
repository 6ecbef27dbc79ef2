// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"

namespace attnrl::device {

// "cpu", "cuda" or "cuda:N". Where several processes share a machine, "cuda" is the GPU with the
// number that LOCAL_RANK says in the environment, as torchrun sets it; without one, the first.
// InputError on `where` in one line where there is no such device (gpus.h). Counts devices and
// makes no context on one, so that a process which only checks holds no memory of a GPU. Any
// thread.
absl::StatusOr<at::Device> ParseDevice(std::string_view name, std::string_view where = "--device");

// Whether memory of the host that is copied to or from the device should be pinned: pages that stay
// where they are are read without the host's help, while it goes on.
inline bool PinsMemoryFor(at::Device device) {
  return device.is_cuda() || device.is_privateuseone();  // the latter is the tests' device
}

struct DeviceMemory {
  int64_t free = 0;  // bytes that can still be had
  int64_t total = 0;
};

// Of the host what this process may use (common/base/machine.h; 0 where nothing is known), of
// another device all of it, which makes a context there. INTERNAL with the driver's words where it
// can't be asked. Any thread.
absl::StatusOr<DeviceMemory> MemoryOf(at::Device device);

}  // namespace attnrl::device
