// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "common/base/clock.h"
#include "services/learner/loop.h"

namespace attnrl::learner {

// Tells /metrics and the log what the loop did.
class MetricsObserver final : public LoopObserver {
 public:
  explicit MetricsObserver(const Clock& clock) : clock_(clock) {}
  void Waiting(uint32_t batch, const std::string& reason) override;
  void Refused(uint32_t batch, const absl::Status& status) override;
  void Done(const StepReport& report) override;

 private:
  const Clock& clock_;
  std::string last_reason_;
};

}  // namespace attnrl::learner
