// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>

#include "tools/attnrl/command.h"

namespace attnrl::tools {

// `attnrl tokenize`: texts and conversations to token ids, and with --decode ids to texts.
void AddTokenizeCommand(CLI::App& app, Work* run);

}  // namespace attnrl::tools
