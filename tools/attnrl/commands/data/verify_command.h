// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tools/attnrl/command.h"

namespace attnrl::tools {

// `attnrl verify`: grades responses from a file, as the verifier of a run would.
void AddVerifyCommand(CLI::App& app, Work* run);

}  // namespace attnrl::tools
