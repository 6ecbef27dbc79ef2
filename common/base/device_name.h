// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

namespace attnrl {

// What people call a device, in the configuration and on the command line.
struct DeviceName {
  bool gpu = false;
  int number = -1;  // of "cuda:N"; -1: which GPU is left open
};

inline constexpr char kDeviceNames[] = "cpu, cuda or cuda:N";

// "cpu", "cuda" or "cuda:N" with N from 0 to 99; nothing for any other text.
std::optional<DeviceName> ParseDeviceName(std::string_view text);

}  // namespace attnrl
