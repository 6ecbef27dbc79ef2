// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>

#include "tools/attnrl/command.h"

namespace attnrl::tools {

// `attnrl drain`: no new work is handed out; waits for the work that is out.
void AddDrainCommand(CLI::App& app, Work* run);

}  // namespace attnrl::tools
