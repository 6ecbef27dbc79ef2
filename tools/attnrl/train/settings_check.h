// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/config/config.h"

namespace attnrl::tools {

// What the settings make of a batch: "at most about 4 optimizer steps a batch, of about 5 problems
// each; fewer where problems are dropped". Reckoned with every response expanded and trained. A
// line more for each stage, with what it sets.
std::string OptimizerStepsText(const config::Config& config);

// Valid settings that leave each other without effect, one line each; what only a stage brings
// about names it. `longest_prompt`: of the training set, in tokens.
std::vector<std::string> SettingsWarnings(const config::Config& config, int64_t longest_prompt);

}  // namespace attnrl::tools
