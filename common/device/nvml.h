// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/device/device.h"

namespace attnrl::device {

// The management library of NVIDIA's driver, which knows a GPU's memory whoever has taken it,
// without a context on the GPU and however the process's own has ended. Loaded when asked for;
// nothing links it. Any thread.
class Nvml {
 public:
  // UNAVAILABLE where this machine has no such library, or it can't be used.
  static absl::StatusOr<std::unique_ptr<Nvml>> Load(
      const std::string& library = "libnvidia-ml.so.1");
  ~Nvml();
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  // Of the GPU at this PCI address (GpuAddress of gpus.h). UNAVAILABLE with the driver's words
  // where it doesn't say.
  absl::StatusOr<DeviceMemory> MemoryOf(const std::string& address) const;

 private:
  struct Functions;
  Nvml(void* library, std::unique_ptr<const Functions> functions);

  void* const library_;
  const std::unique_ptr<const Functions> functions_;
};

}  // namespace attnrl::device
