// SPDX-License-Identifier: Apache-2.0
#include "common/device/gpu_metrics.h"

#include <utility>

#include "common/device/gpus.h"
#include "common/observe/log.h"
#include "common/observe/metrics.h"

namespace attnrl::device {

void ReportGpuMemory(at::Device device) {
  if (!device.is_cuda()) return;
  absl::StatusOr<std::unique_ptr<Nvml>> nvml = Nvml::Load();
  if (nvml.ok()) return ReportGpuMemory(*std::move(nvml), GpuAddress(device.index()));
  observe::LogWarning("the GPU's memory is not among the metrics", {{"reason", nvml.status()}});
}

void ReportGpuMemory(std::unique_ptr<Nvml> nvml, const std::string& address) {
  observe::BeforeReading([library = std::shared_ptr<Nvml>(std::move(nvml)), address] {
    const absl::StatusOr<DeviceMemory> memory = library->MemoryOf(address);
    if (!memory.ok()) return;  // what was read last stays
    observe::Set(observe::kGpuMemoryBytes, {"used"},
                 static_cast<double>(memory->total - memory->free));
    observe::Set(observe::kGpuMemoryBytes, {"free"}, static_cast<double>(memory->free));
  });
}

}  // namespace attnrl::device
