// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>

#include "tools/attnrl/command.h"

namespace attnrl::tools {

// `attnrl make-task`: problems of the embedded task as a data set.
void AddMakeTaskCommand(CLI::App& app, Work* run);

}  // namespace attnrl::tools
