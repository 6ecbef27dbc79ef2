// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>

#include "tools/attnrl/command.h"

namespace attnrl::tools {

// `attnrl show`: what was sampled in a batch, as text.
void AddShowCommand(CLI::App& app, Work* run);

}  // namespace attnrl::tools
