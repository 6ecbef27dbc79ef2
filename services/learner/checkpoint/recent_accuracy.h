// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>

namespace attnrl::learner {

// The share of right initial responses of late: a batch counts 9/10 of the one after it, so that
// about the last ten decide. The accuracy of one batch alone says more about its problems than
// about the weights, and the best of many would be the luckiest. Plain data.
struct RecentAccuracy {
  static constexpr double kOlder = 0.9;

  double right = 0;
  double responses = 0;
  uint32_t since = 0;  // the batch that it begins with

  void Add(uint32_t batch_right, uint32_t batch_responses) {
    right = kOlder * right + batch_right;
    responses = kOlder * responses + batch_responses;
  }
  // Whether it is the better one: of later data in any case, since how hard these are is another
  // matter.
  bool Above(const RecentAccuracy& other) const {
    return since != other.since ? since > other.since : value() > other.value();
  }
  // From 0 to 1; NaN where no response was graded.
  double value() const { return responses > 0 ? right / responses : NAN; }

  bool operator==(const RecentAccuracy&) const = default;
};

}  // namespace attnrl::learner
