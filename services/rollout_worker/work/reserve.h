// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "absl/time/time.h"

namespace attnrl::rollout {

// How many samples should wait here beyond those in slots, so that none is empty and nothing waits
// that another worker could begin: as many as this one finishes, at its rate of the last half
// minute, until the scheduler has answered a result; and a standard deviation more. Times are
// monotonic. Not thread-safe.
class Reserve {
 public:
  // `most`: whatever is measured.
  Reserve(absl::Duration now, int64_t most) : since_(now), last_(now), most_(most) {}

  void NoteFinished(absl::Duration now);
  // So long did an answer take.
  void NoteAnswer(absl::Duration took);
  int64_t Samples(absl::Duration now) const;

 private:
  absl::Duration since_, last_;  // the start, and the last sample
  const int64_t most_;
  double weight_ = 0;  // of the samples until then, older ones less
  absl::Duration answer_ = absl::Milliseconds(50);
};

}  // namespace attnrl::rollout
