// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tools/attnrl/command.h"

namespace attnrl::tools {

// `attnrl score`: log-prob and entropy of given responses (CLI.md).
void AddScoreCommand(CLI::App& app, Work* run);

}  // namespace attnrl::tools
