// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>

#include "tools/attnrl/command.h"

namespace attnrl::tools {

// `attnrl advantages`: the tree advantages of problems, one a line.
void AddAdvantagesCommand(CLI::App& app, Work* run);

}  // namespace attnrl::tools
