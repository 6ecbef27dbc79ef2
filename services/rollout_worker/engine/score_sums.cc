// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/engine/score_sums.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace attnrl::rollout {

void HostScoreSums::Widen(int64_t stride) {
  for (std::vector<float>* values : {&current_, &total_}) {
    std::vector<float> wider(static_cast<size_t>(rows_ * stride), 0);
    for (int64_t row = 0; row < rows_; ++row) {
      std::copy_n(values->begin() + row * stride_, stride_, wider.begin() + row * stride);
    }
    *values = std::move(wider);
  }
  stride_ = stride;
}

float* HostScoreSums::Scratch(int64_t numbers) {
  scratch_.resize(std::max(scratch_.size(), static_cast<size_t>(numbers)));
  return scratch_.data();
}

void HostScoreSums::EndStep(int64_t steps, int64_t queries) {
  const auto divisor = static_cast<float>(queries);
  for (int64_t row = 0; row < rows_; ++row) {
    float* const current = current_.data() + row * stride_;
    float* const total = total_.data() + row * stride_;
    for (int64_t step = 0; step < steps; ++step) {
      total[step] += std::exchange(current[step], 0) / divisor;
    }
  }
}

void HostScoreSums::Clear() {
  std::fill(current_.begin(), current_.end(), 0);
  std::fill(total_.begin(), total_.end(), 0);
}

std::vector<float> HostScoreSums::Largest(int64_t steps) {
  std::vector<float> largest(static_cast<size_t>(steps), 0);
  for (int64_t row = 0; row < rows_; ++row) {
    for (int64_t step = 0; step < steps; ++step) {
      float& most = largest[static_cast<size_t>(step)];
      most = std::max(most, total_[static_cast<size_t>(row * stride_ + step)]);
    }
  }
  return largest;
}

}  // namespace attnrl::rollout
