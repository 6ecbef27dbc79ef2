// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/version.h"
#include "common/model/files/config.h"
#include "services/rollout_worker/engine/request.h"
#include "services/rollout_worker/engine/stepper.h"

namespace attnrl::rollout {

// The attnrl_rollout_* metrics of metric_names.h and attnrl_model_flops_total. Any thread.
std::function<void(const StepReport&)> StepObserver(int64_t slots, const model::ModelConfig& model);
void ObserveCompletion(const Completion& completion);
void ObserveWeights(const Version& version, absl::Duration took, const absl::Status& status);

}  // namespace attnrl::rollout
