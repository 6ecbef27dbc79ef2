// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/config/config.h"

namespace attnrl::service {

// What the command line of every service says.
struct Flags {
  std::string config_file = {};
  std::vector<std::string> sets = {};  // "a.b=c"
  std::string run_dir = {};            // empty: none
  std::string name = {};               // in logs; unique in a run
  std::string address = {};            // only where Program::has_address
};

// What makes one service's command line its own. Texts live as long as the process.
struct Program {
  const char* binary = "";   // "attnrl-learner"
  const char* version = "";  // of the project
  const char* purpose = "";  // one line for --help
  const char* example = "";  // a command line for --help
  const char* name = "";     // default of --name
  const char* run_dir = "";  // what --run-dir holds, for --help
  bool needs_run_dir = false;
  bool has_address = false;
  // RESOURCE_EXHAUSTED means that the disk is full: exit code 3.
  bool keeps_files = false;
};

// Reads the flags. OK also when --help or --version was answered on stdout; `*answered` is true
// then and nothing is left to do. InputError naming the flag, with the nearest right one where it
// is misspelt.
absl::Status ParseFlags(const Program& program, int argc, const char* const* argv, Flags* flags,
                        bool* answered);

// A service's main: flags, configuration, log (RUN_DIR/logs/<name>.log where there is a run
// directory), then `serve`, whose error becomes the one line "error: ..." on stderr and, unless it
// is CANCELLED, the metric attnrl_last_failure_timestamp_seconds of the next process. Returns the
// exit code, by which `attnrl train` decides: 0; 2 bad input and 3 a full disk end a run; 1
// anything else, tried again.
int Main(const Program& program, int argc, const char* const* argv,
         const std::function<absl::Status(const config::Config&, const Flags&)>& serve);

}  // namespace attnrl::service
