// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/work/reserve.h"

#include <algorithm>
#include <cmath>

namespace attnrl::rollout {
namespace {

constexpr absl::Duration kMemory = absl::Seconds(30);
// The newest answer's part of what is expected of the next one.
constexpr double kNewest = 0.125;

double Left(absl::Duration since) { return std::exp(-absl::FDivDuration(since, kMemory)); }

}  // namespace

void Reserve::NoteFinished(absl::Duration now) {
  weight_ = weight_ * Left(now - last_) + 1;
  last_ = now;
}

void Reserve::NoteAnswer(absl::Duration took) { answer_ += (took - answer_) * kNewest; }

int64_t Reserve::Samples(absl::Duration now) const {
  // Of a worker that has just begun less has been seen than of one whose samples fade.
  const double seen = 1 - Left(now - since_);
  if (weight_ == 0 || seen <= 0) return 0;
  const double rate = weight_ * Left(now - last_) / (absl::ToDoubleSeconds(kMemory) * seen);
  const double mean = rate * absl::ToDoubleSeconds(answer_);
  return std::min(most_, static_cast<int64_t>(std::round(mean + std::sqrt(mean))));
}

}  // namespace attnrl::rollout
