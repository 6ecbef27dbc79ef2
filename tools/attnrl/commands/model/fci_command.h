// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tools/attnrl/command.h"

namespace attnrl::tools {

// `attnrl fci`: future attention influence of the steps of given responses (CLI.md).
void AddFciCommand(CLI::App& app, Work* run);

}  // namespace attnrl::tools
