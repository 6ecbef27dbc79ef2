// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

namespace attnrl {

// The least temperature above 0 of a softmax. Logits are divided by it in float32, where much less
// makes infinities, and of them NaN; the most likely token is what a temperature of 0 takes.
inline constexpr double kLeastTemperature = 1e-6;

// 0, or a finite number of at least kLeastTemperature. As float32, in which it may have travelled.
inline bool IsTemperature(double temperature) {
  return temperature == 0 ||
         (std::isfinite(temperature) &&
          static_cast<float>(temperature) >= static_cast<float>(kLeastTemperature));
}

}  // namespace attnrl
