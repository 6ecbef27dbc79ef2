// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/status/status.h"

namespace CLI {
class App;
}

namespace attnrl::tools {

// Parses argv with `app`. OK also when --help or --version was answered on stdout; `*answered` is
// true then and nothing is left to do. Otherwise an InputError that names the flag or command, what
// is wrong with it and what is allowed, with "did you mean" where a known name is close.
// Numbers are finite, and whole ones from 0 have no sign.
absl::Status ParseCommandLine(CLI::App& app, int argc, const char* const* argv, bool* answered);

// For an option that names a file which is written at the end of long work:
// option->check(NotWritable) refuses it before. Empty where the file's folder is there, or for "-";
// otherwise what is wrong.
std::string NotWritable(const std::string& path);

}  // namespace attnrl::tools
