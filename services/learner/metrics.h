// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "common/config/config.h"
#include "services/learner/loop.h"
#include "services/learner/start_model.h"

namespace attnrl::learner {

// Has /metrics say what the device that the model lies on has and can do.
void ReportDevice(const config::Config& config, const StartModel& start);

// Tells /metrics and the log what the loop did.
class MetricsObserver final : public LoopObserver {
 public:
  explicit MetricsObserver(std::string run_dir);
  void Waiting(uint32_t batch, const std::string& reason) override;
  void Refused(uint32_t batch, const absl::Status& status) override;
  void Done(const StepReport& report) override;

 private:
  const std::string run_dir_;
  std::string last_reason_;
};

}  // namespace attnrl::learner
