// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "absl/status/status.h"
#include "common/command_line/command.h"

namespace attnrl::tools {

// The work of one command. OK ends with exit code 0, an InputError with 2, a cancelled status (the
// user pressed Ctrl-C) with 130, everything else with 1; the message becomes the one line
// "error: ...". Results go to stdout or --output, everything else to stderr.
using Work = std::function<absl::Status()>;

// A command `attnrl make-task` is the file commands/<room>/make_task_command.cc with
//   void AddMakeTaskCommand(Command& app, Work* run);
// which registers the command's flags, help and example, and sets `*run` from the command's
// callback when it is the one chosen on the command line. Flags are read before `*run` is called,
// on the main thread, once. commands/CMakeLists.txt finds the files by name, and generates the
// declarations and the function below.

// Registers every command, in the order of their names.
void AddEveryCommand(Command& app, Work* run);

}  // namespace attnrl::tools
