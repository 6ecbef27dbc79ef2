// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/config/config.h"
#include "common/model/files/config.h"
#include "services/learner/loop.h"
#include "services/learner/train/trainer.h"

namespace attnrl::learner {

// The parts of a run's configuration that the learner's own types want. `run_dir`: of a trainer
// that is made, for the file of its reference model.
TrainerOptions TrainerOptionsOf(const config::Config& config, const std::string& run_dir = {});
LoopOptions LoopOptionsOf(const config::Config& config, const std::string& run_dir);
// Whether so many ranks can train: InputError by the name of what they don't go with.
absl::Status CheckRanks(const config::Config& config, int ranks);
// What all ranks must have alike to train one model, key -> text: what a run holds fast
// (config::Fingerprint) of how a batch is trained. A stage's are "KEY from step N". Not the device,
// threads and paths, which are each host's own.
std::map<std::string, std::string> SettingsOfAllRanks(const config::Config& config);
// model.dtype; `stored` is that of config.json ("auto").
absl::StatusOr<model::DType> ComputeDTypeOf(const config::Config& config, model::DType stored);

}  // namespace attnrl::learner
