// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/status/status.h"

namespace CLI {
class App;
}

namespace attnrl::tools {

// Parses argv with `app`. OK also when --help or --version was answered on stdout; `*answered` is
// true then and nothing is left to do. Otherwise an InputError that names the flag or command, what
// is wrong with it and what is allowed, with "did you mean" where a known name is close.
absl::Status ParseCommandLine(CLI::App& app, int argc, const char* const* argv, bool* answered);

}  // namespace attnrl::tools
