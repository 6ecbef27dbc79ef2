// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>

#include "tools/attnrl/command.h"

namespace attnrl::tools {

// `attnrl train`: starts the four services, trains, shows the progress.
void AddTrainCommand(CLI::App& app, Work* run);

}  // namespace attnrl::tools
