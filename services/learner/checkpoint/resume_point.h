// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "absl/status/statusor.h"
#include "services/learner/checkpoint/checkpoint.h"
#include "services/learner/versions/version_store.h"

namespace attnrl::learner {

// Where a run goes on: its newest intact checkpoint; nullopt where it begins. Announces every
// version that is durable, also those that lie in checkpoints alone, set aside as damaged or not.
// Reads whole checkpoints and the versions of damaged ones, minutes for a large model: before the
// other ranks are met, who would take this one for dead meanwhile. CheckpointStore::NoneIntact
// where versions were trained and no checkpoint is left.
absl::StatusOr<std::optional<CheckpointInfo>> FindResumePoint(CheckpointStore& checkpoints,
                                                              VersionStore& versions);

}  // namespace attnrl::learner
