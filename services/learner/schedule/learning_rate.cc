// SPDX-License-Identifier: Apache-2.0
#include "services/learner/schedule/learning_rate.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace attnrl::learner {

double ShareOfPeak(Decay decay, double to, double progress) {
  if (decay == Decay::kLinear) return std::max(to, 1 - (1 - to) * progress);
  return to + (1 - to) / 2 * (1 + std::cos(std::numbers::pi * std::min(1.0, progress)));
}

double LearningRateAt(const RateSchedule& schedule, double peak, int64_t step) {
  if (step < schedule.warmup_steps) {
    return peak * static_cast<double>(step + 1) / static_cast<double>(schedule.warmup_steps + 1);
  }
  if (schedule.decay_after == 0 || step < schedule.decay_after) return peak;
  const double progress = static_cast<double>(step - schedule.decay_after + 1) /
                          static_cast<double>(schedule.decay_steps);
  return peak * ShareOfPeak(schedule.decay, schedule.decay_to, progress);
}

}  // namespace attnrl::learner
