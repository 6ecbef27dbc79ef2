// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tools/attnrl/command.h"

namespace attnrl::tools {

// `attnrl learn-bench`: the learner's update on the recorded batches of a run.
void AddLearnBenchCommand(CLI::App& app, Work* run);

}  // namespace attnrl::tools
