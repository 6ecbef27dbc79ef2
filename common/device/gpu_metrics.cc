// SPDX-License-Identifier: Apache-2.0
#include "common/device/gpu_metrics.h"

#include <optional>
#include <utility>

#include "common/device/gpus.h"
#include "common/device/peak_flops.h"
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

void ReportPeakFlops(at::Device device, bool bfloat16, double given, std::string_view role) {
  std::optional<double> peak;
  if (given > 0) {
    peak = given;
  } else if (device.is_cuda() && bfloat16) {
    peak = PeakFlops(GpuName(device.index()));
  }
  if (peak.has_value()) observe::Set(observe::kDevicePeakFlops, {role}, *peak);
}

}  // namespace attnrl::device
