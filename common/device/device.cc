// SPDX-License-Identifier: Apache-2.0
#include "common/device/device.h"

#include <ATen/Context.h>
#include <c10/core/CachingDeviceAllocator.h>

#include <algorithm>
#include <exception>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/machine.h"
#include "common/base/status.h"

namespace attnrl::device {
namespace {

constexpr std::string_view kCuda = "cuda";

// The N of "cuda:N", 0 of "cuda"; -1 for what is neither.
int GpuNumber(std::string_view name) {
  if (name == kCuda) return 0;
  int number = -1;
  const bool valid =
      name.starts_with("cuda:") && absl::SimpleAtoi(std::string(name.substr(5)), &number);
  return valid && number >= 0 ? number : -1;
}

}  // namespace

absl::StatusOr<at::Device> ParseDevice(std::string_view name, std::string_view where) {
  if (name == "cpu") return at::Device(at::kCPU);
  const int number = GpuNumber(name);
  if (number < 0) {
    return InputError(where, absl::StrCat("no device \"", OneLine(name, 40), "\""),
                      "allowed are cpu and cuda");
  }
  int gpus = 0;
  try {
    gpus = at::globalContext().hasCUDA() ? static_cast<int>(at::getNumGPUs()) : 0;
  } catch (const std::exception& error) {
    return InputError(where,
                      absl::StrCat(std::string(name),
                                   " can't be used: ", OneLine(std::string(error.what()), 120)),
                      "a GPU of this machine, or cpu, is needed");
  }
  if (gpus == 0) {
    return InputError(where, "cuda: this build has no CUDA support, or this machine has no GPU",
                      "allowed here is cpu");
  }
  if (number >= gpus) {
    return InputError(where, absl::StrCat("no device \"", std::string(name), "\""),
                      absl::StrCat("this machine has cuda:0 to cuda:", gpus - 1));
  }
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
