// SPDX-License-Identifier: Apache-2.0
#include "common/base/device_name.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace attnrl {

std::optional<DeviceName> ParseDeviceName(std::string_view text) {
  constexpr std::string_view kNumbered = "cuda:";
  if (text == "cpu") return DeviceName{};
  if (text == "cuda") return DeviceName{.gpu = true};
  if (!text.starts_with(kNumbered)) return std::nullopt;
  const std::string_view digits = text.substr(kNumbered.size());
  if (digits.empty() || digits.size() > 2 || (digits.size() > 1 && digits[0] == '0') ||
      !std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit)) {
    return std::nullopt;
  }
  int number = 0;
  for (const char digit : digits) number = 10 * number + (digit - '0');
  return DeviceName{.gpu = true, .number = number};
}

}  // namespace attnrl
