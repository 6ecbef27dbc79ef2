// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tools/attnrl/command.h"

namespace attnrl::tools {

// `attnrl sft`: supervised training of a model on {"prompt", "response"} records.
void AddSftCommand(CLI::App& app, Work* run);

}  // namespace attnrl::tools
