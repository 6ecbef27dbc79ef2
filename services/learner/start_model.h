// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/config/config.h"
#include "common/model/files/config.h"
#include "common/model/files/weights.h"
#include "services/learner/checkpoint/checkpoint.h"
#include "services/learner/ranks/rank_group.h"
#include "services/learner/train/trainer.h"

namespace attnrl::learner {

// The model that a run started from, W(0).
struct StartModel {
  std::string folder = {};
  model::ModelConfig shape = {};
  model::DType dtype = model::DType::kFloat32;  // what the run computes in, and W(0) is rounded to
  model::Tensors tensors = {};
  bool first = false;  // the run has no checkpoint yet
};

// Reads it from the run's first checkpoint, or from model.path before there is one. If that
// checkpoint is damaged, model.path takes its place where its tensors have the digest of W(0):
// `published`, under which it was announced, or else the one in the checkpoint. Without a KL term
// and adapters the tensors decide nothing once a later checkpoint is restored: then model.path
// serves in any case. INVALID_ARGUMENT says which file is damaged and what would mend it. A first
// checkpoint that is gone beside later ones counts as damaged.
absl::StatusOr<StartModel> LoadStartModel(const config::Config& config,
                                          const CheckpointStore& checkpoints,
                                          const std::optional<std::string>& published);

// Rank 0 hands its start model to the other ranks, which need only the shape in model.path. All
// call ShareStartModel together; `start` is rank 0's, ignored on the others. InputError on the
// rank whose configuration (SettingsOfAllRanks) or config.json says something else.
absl::StatusOr<StartModel> ShareStartModel(const config::Config& config, RankGroup& group,
                                           StartModel start);

// At a run's first start: makes the masters of `trainer`, which was made of `start`, as precise as
// the folder is, where that is more than what the run computes in. Nothing otherwise, and for
// adapters, which change the rounded weights. Reads one tensor after the other; called on rank 0,
// the others are in Trainer::Follow.
absl::Status RefineMasters(const StartModel& start, Trainer& trainer);

}  // namespace attnrl::learner
