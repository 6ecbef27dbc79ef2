// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>

#include "tools/attnrl/command.h"

namespace attnrl::tools {

// `attnrl status`: what a run does now, once or after each change.
void AddStatusCommand(CLI::App& app, Work* run);

}  // namespace attnrl::tools
