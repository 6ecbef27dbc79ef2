// SPDX-License-Identifier: Apache-2.0
#include "common/device/device.h"

#include <c10/core/CachingDeviceAllocator.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/device_name.h"
#include "common/base/machine.h"
#include "common/base/status.h"
#include "common/device/gpus.h"

namespace attnrl::device {

absl::StatusOr<int> PickGpu(int number, const char* local_rank, int gpus, std::string_view where) {
  const std::string allowed = absl::StrCat("this machine has cuda:0 to cuda:", gpus - 1);
  if (number >= 0) {
    if (number < gpus) return number;
    return InputError(where, absl::StrCat("no device \"cuda:", number, "\""), allowed);
  }
  if (local_rank == nullptr) return 0;
  int local = 0;
  if (absl::SimpleAtoi(local_rank, &local) && local >= 0 && local < gpus) return local;
  return InputError(
      where, absl::StrCat("cuda, and LOCAL_RANK is \"", OneLine(local_rank, 40), "\""), allowed);
}

absl::StatusOr<at::Device> ParseDevice(std::string_view name, std::string_view where) {
  const std::optional<DeviceName> parsed = ParseDeviceName(name);
  if (!parsed.has_value()) {
    return InputError(where, absl::StrCat("no device \"", OneLine(name, 40), "\""),
                      absl::StrCat("allowed are ", kDeviceNames));
  }
  if (!parsed->gpu) return at::Device(at::kCPU);
  const absl::StatusOr<int> gpus = CountGpus();
  if (!gpus.ok()) {
    return InputError(where,
                      absl::StrCat(std::string(name), ": ", std::string(gpus.status().message())),
                      "allowed here is cpu");
  }
  ATTNRL_ASSIGN_OR_RETURN(const int number,
                          PickGpu(parsed->number, std::getenv("LOCAL_RANK"), *gpus, where));
  return at::Device(at::kCUDA, static_cast<at::DeviceIndex>(number));
}

absl::StatusOr<DeviceMemory> MemoryOf(at::Device device) {
  if (device.is_cpu()) return DeviceMemory{.free = AvailableMemory(), .total = MemoryLimit()};
  try {
    const auto index = std::max<at::DeviceIndex>(device.index(), 0);
    const auto [free, total] = c10::getDeviceAllocator(device.type())->getMemoryInfo(index);
    return DeviceMemory{static_cast<int64_t>(free), static_cast<int64_t>(total)};
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat(device.str(), ": its memory can't be asked for: ",
                                            OneLine(std::string(error.what()), 120)));
  }
}

}  // namespace attnrl::device
