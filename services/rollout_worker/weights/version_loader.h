// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/model/files/config.h"
#include "services/rollout_worker/runner/runner.h"
#include "services/rollout_worker/weights/weight_keeper.h"

namespace attnrl::rollout {

// Makes models of versions that came over the wire, for a runner with `options`: checks that names,
// shapes and types are those of `config` and that the tensors have the version's digest. DATA_LOSS
// otherwise; RESOURCE_EXHAUSTED where LibTorch refuses, INTERNAL where this process can't use its
// GPU any more. On a device it brings them there on a stream of
// its own. The loader is one thread's.
WeightLoader MakeVersionLoader(const model::ModelConfig& config, const RunnerOptions& options);

}  // namespace attnrl::rollout
