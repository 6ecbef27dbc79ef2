// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "absl/status/status.h"

namespace CLI {
class App;
}

namespace attnrl::tools {

// The work of one command. OK ends with exit code 0, an InputError with 2, a cancelled status (the
// user pressed Ctrl-C) with 130, everything else with 1; the message becomes the one line
// "error: ...". Results go to stdout or --output, everything else to stderr.
using Work = std::function<absl::Status()>;

// A command `attnrl make-task` is the file pair tools/make_task_command.{h,cc} with
//   void AddMakeTaskCommand(CLI::App& app, Work* run);
// which registers the command's flags, help and example, and sets `*run` from the command's
// callback when it is the one chosen on the command line. Flags are read before `*run` is called,
// on the main thread, once. tools/CMakeLists.txt finds the pairs by name and generates the function
// below.

// Registers every command, in the order of their names.
void AddEveryCommand(CLI::App& app, Work* run);

}  // namespace attnrl::tools
