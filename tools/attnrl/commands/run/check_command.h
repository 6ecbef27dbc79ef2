// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>

#include "tools/attnrl/command.h"

namespace attnrl::tools {

// `attnrl check`: everything that `attnrl train` checks before it starts, and nothing else.
void AddCheckCommand(CLI::App& app, Work* run);

}  // namespace attnrl::tools
