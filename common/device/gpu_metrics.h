// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <c10/core/Device.h>

#include <memory>
#include <string>
#include <string_view>

#include "common/device/nvml.h"

namespace attnrl::device {

// From now on attnrl_gpu_memory_bytes says, whenever metrics are read, what of the GPU's memory is
// used, by whomever, and what is free. Nothing for the CPU; where the driver's library can't be
// asked, a line in the log says so. Once a process.
void ReportGpuMemory(at::Device device);
// For the GPU at this PCI address.
void ReportGpuMemory(std::unique_ptr<Nvml> nvml, const std::string& address);

// attnrl_device_peak_flops: what the device of `role` ("learner", "worker") can do at most. `given`
// where that isn't 0; else what is known of a GPU (peak_flops.h) that computes in bfloat16; else
// nothing.
void ReportPeakFlops(at::Device device, bool bfloat16, double given, std::string_view role);

}  // namespace attnrl::device
