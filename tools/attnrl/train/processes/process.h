// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace attnrl::tools {

// How a child ended.
struct ProcessExit {
  int code = 0;    // where signal is 0
  int signal = 0;  // the signal that ended it
  // "exit code 1", "killed by signal 9 (Killed)".
  std::string Text() const;
};

// What to start.
struct ProcessSpec {
  std::string name;                    // unique: "worker-0"
  std::vector<std::string> argv = {};  // argv[0] is the path of the binary
  // Set on top of this process's environment; variables named ATTNRL_* are not inherited, because
  // the configuration that a child reads is resolved already.
  std::map<std::string, std::string> environment = {};
  std::string output_file = {};  // stdout and stderr are appended to it
  std::string follows = {};      // name of the child without which it is of no use; empty: none
};

// Starting, watching and ending children: the seam of the supervisor's tests.
class Processes {
 public:
  virtual ~Processes() = default;
  // The new process's id. Its own process group, so that Ctrl-C reaches the parent alone; killed
  // when the calling thread dies.
  virtual absl::StatusOr<int> Start(const ProcessSpec& spec) = 0;
  // How the child ended, once; nullopt while it runs. Never blocks.
  virtual std::optional<ProcessExit> Poll(int pid) = 0;
  // Nothing happens where the child is gone already.
  virtual void Signal(int pid, int signal) = 0;
};

// The real ones. Start must always be called on the same, long-lived thread.
class PosixProcesses final : public Processes {
 public:
  absl::StatusOr<int> Start(const ProcessSpec& spec) override;
  std::optional<ProcessExit> Poll(int pid) override;
  void Signal(int pid, int signal) override;
};

// Cuts a file that children append to (ProcessSpec::output_file): where it has more than `bytes`,
// its last `bytes` / 2 are put aside as PATH.1, replacing what was there, and it begins anew. What
// comes in between is lost. Where that is impossible the file stays as it is.
void BoundOutput(const std::string& path, int64_t bytes);

// What a process uses; zeros where it is gone.
struct ProcessUse {
  int64_t threads = 0;
  double processor_seconds = 0;  // of all its threads, since it was started
  bool traced = false;           // by a debugger
};
ProcessUse ReadProcessUse(int pid);

// Memory of a process in bytes, of pages that several have in common (libraries) its share alone,
// so that a sum counts them once; where the kernel doesn't say shares, with those pages whole. 0
// where it is gone. Walks the page tables: milliseconds for each gigabyte.
int64_t ReadProcessMemory(int pid);

}  // namespace attnrl::tools
