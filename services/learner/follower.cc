// SPDX-License-Identifier: Apache-2.0
#include "services/learner/follower.h"

#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include "absl/time/time.h"
#include "common/base/status.h"
#include "common/device/device.h"
#include "common/observe/log.h"
#include "services/learner/metrics.h"
#include "services/learner/options.h"
#include "services/learner/ranks/gloo_group.h"
#include "services/learner/ranks/nccl_group.h"
#include "services/learner/start_model.h"
#include "services/learner/train/library_error.h"
#include "services/learner/train/trainer.h"

namespace attnrl::learner {

absl::StatusOr<std::unique_ptr<RankGroup>> JoinRun(const config::Config& config,
                                                   const RankPlace& place,
                                                   std::function<bool()> abandon) {
  const absl::Duration timeout = absl::Seconds(config.learner.rank_timeout_seconds);
  ATTNRL_ASSIGN_OR_RETURN(const at::Device device,
                          device::ParseDevice(config.learner.device, "learner.device"));
  ATTNRL_ASSIGN_OR_RETURN(auto group,
                          JoinRanks(place, {.timeout = timeout, .abandon = std::move(abandon)}));
  if (device.is_cpu()) return group;
  return AddNccl(std::move(group), device, timeout);
}

absl::Status Follow(const config::Config& config, const std::string& run_dir,
                    const RankPlace& place, const std::function<bool()>& abandon) {
  ATTNRL_ASSIGN_OR_RETURN(const auto group, JoinRun(config, place, abandon));
  observe::LogInfo("joined the other ranks", {{"rank", place.rank}, {"ranks", place.size}});
  ATTNRL_ASSIGN_OR_RETURN(StartModel start, ShareStartModel(config, *group, {}));
  ReportDevice(config, start);
  std::optional<Trainer> trainer;
  try {
    trainer.emplace(start.shape, std::move(start.tensors), start.dtype,
                    TrainerOptionsOf(config, run_dir), group.get());
  } catch (const std::exception& error) {
    return LibraryError("making the trainer", error);
  }
  return trainer->Follow(abandon);
}

}  // namespace attnrl::learner
