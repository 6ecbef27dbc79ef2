// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/config/config.h"
#include "services/learner/ranks/place.h"
#include "services/learner/ranks/rank_group.h"

namespace attnrl::learner {

// Meets the other ranks of a run (gloo_group.h), which send each other tensors on GPUs by NCCL
// where learner.device is one. CANCELLED once `abandon` says yes.
absl::StatusOr<std::unique_ptr<RankGroup>> JoinRun(const config::Config& config,
                                                   const RankPlace& place,
                                                   std::function<bool()> abandon);

// The life of a rank other than 0: meets the others, gets the start model from rank 0 and trains
// with it until the run ends (OK). It keeps no files in `run_dir` that outlive it and talks to no
// service. `abandon` is asked from time to time; when it says yes the result is CANCELLED. Any
// other error names the rank that failed, after which the group has to be started again.
absl::Status Follow(const config::Config& config, const std::string& run_dir,
                    const RankPlace& place, const std::function<bool()>& abandon);

}  // namespace attnrl::learner
