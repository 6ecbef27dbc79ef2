// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

namespace attnrl::device {

// Floating-point operations a second that a GPU's maker states for dense products in bfloat16, by
// the name that the driver has for it. None for other GPUs, and for a slice of one (MIG).
std::optional<double> PeakFlops(std::string_view gpu);

}  // namespace attnrl::device
