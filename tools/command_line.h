// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace CLI {
class App;
}

namespace attnrl::tools {

// Parses argv with `app`. OK also when --help or --version was answered on stdout; `*answered` is
// true then and nothing is left to do. Otherwise an InputError that names the flag or command, what
// is wrong with it and what is allowed, with "did you mean" where a known name is close.
absl::Status ParseCommandLine(CLI::App& app, int argc, const char* const* argv, bool* answered);

// The candidate nearest to `word` by edit distance (a neighbour swap counts one), or "" when none
// is near enough to be a slip of the finger: one letter of a short word, two or a third of a longer
// one.
std::string Nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace attnrl::tools
