// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <csignal>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tools/attnrl/train/processes/process.h"

namespace attnrl::tools {

// Children that end when told to; SIGTERM ends them unless they are stubborn.
class FakeProcesses final : public Processes {
 public:
  absl::StatusOr<int> Start(const ProcessSpec& spec) override {
    if (!start_error.ok()) return start_error;
    started.push_back(spec.name);
    pids[spec.name] = ++next_;
    return next_;
  }
  std::optional<ProcessExit> Poll(int pid) override {
    const auto found = ended_.find(pid);
    if (found == ended_.end()) return std::nullopt;
    const ProcessExit exit = found->second;
    ended_.erase(found);
    return exit;
  }
  void Signal(int pid, int signal) override {
    signals.emplace_back(pid, signal);
    if (signal == SIGKILL || !stubborn) ended_[pid] = {.signal = signal};
  }
  void End(const std::string& name, ProcessExit exit) { ended_[pids.at(name)] = exit; }

  std::vector<std::string> started;
  std::map<std::string, int> pids;
  std::vector<std::pair<int, int>> signals;
  bool stubborn = false;
  absl::Status start_error;  // of every start while it isn't OK

 private:
  int next_ = 0;
  std::map<int, ProcessExit> ended_;
};

}  // namespace attnrl::tools
