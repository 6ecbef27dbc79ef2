// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>

#include "tools/attnrl/command.h"

namespace attnrl::tools {

// `attnrl branch`: the branch points of scored responses, one a line.
void AddBranchCommand(CLI::App& app, Work* run);

}  // namespace attnrl::tools
