// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>

#include "tools/attnrl/command.h"

namespace attnrl::tools {

// `attnrl tree`: the tree of one problem as a page for the browser.
void AddTreeCommand(CLI::App& app, Work* run);

}  // namespace attnrl::tools
