// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>

#include "common/base/clock.h"
#include "services/learner/loop.h"

namespace attnrl::learner {

// Tells /metrics and the log what the loop did.
class MetricsObserver final : public LoopObserver {
 public:
  MetricsObserver(const Clock& clock, std::string run_dir)
      : clock_(clock), run_dir_(std::move(run_dir)) {}
  void Waiting(uint32_t batch, const std::string& reason) override;
  void Refused(uint32_t batch, const absl::Status& status) override;
  void Done(const StepReport& report) override;

 private:
  const Clock& clock_;
  const std::string run_dir_;
  std::string last_reason_;
};

}  // namespace attnrl::learner
