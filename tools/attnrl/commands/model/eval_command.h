// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tools/attnrl/command.h"

namespace attnrl::tools {

void AddEvalCommand(CLI::App& app, Work* run);

}  // namespace attnrl::tools
