// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace attnrl::learner {

// How the learning rate falls.
enum class Decay { kLinear, kCosine };

// The share of the peak after `progress` of a decay to the share `to`, from 0 to 1:
//   kLinear  1 - (1 - to) progress
//   kCosine  to + (1 - to) (1 + cos(pi progress)) / 2     (arXiv 1608.03983, equation 5, one cycle)
// `progress` is at least 0; from 1 on the share is `to`.
double ShareOfPeak(Decay decay, double to, double progress);

// What becomes of the learning rate over the training steps of a run, counted from 0.
struct RateSchedule {
  // Steps in which it rises linearly: the first has 1 / (warmup_steps + 1) of the peak.
  int64_t warmup_steps = 0;
  // After this many steps (0: never) it falls, for decay_steps (at least 1): the last of them and
  // all that follow have decay_to (from 0 to 1) of the peak.
  int64_t decay_after = 0;
  int64_t decay_steps = 100;
  Decay decay = Decay::kLinear;
  double decay_to = 0.1;
};

// The learning rate of one step (at least 0), whose peak is `peak`. Pure, so that a resumed run
// goes on where it was, and a stage may bring another peak at any step.
double LearningRateAt(const RateSchedule& schedule, double peak, int64_t step);

}  // namespace attnrl::learner
