// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/base/clock.h"
#include "tools/attnrl/train/processes/process.h"
#include "tools/attnrl/train/processes/supervisor.h"

namespace attnrl::tools {

// Finds children that are frozen: that have answered before, and now neither answer nor use the
// processor. A busy child uses it, and one that starts has not answered yet. One thread.
class HealthWatch {
 public:
  struct Options {
    // Without an answer for so long, and without a hundredth of a processor on average.
    absl::Duration silence = absl::Seconds(30);
    double busy = 0.01;
    // Between two looks: this process or the machine stood still meanwhile, so silence says
    // nothing about the children.
    absl::Duration gap = absl::Seconds(5);
  };
  // Whether the child of that name has answered since the last call; asks it again, doesn't wait.
  using Answered = std::function<bool(const std::string& name)>;
  using Use = std::function<ProcessUse(int pid)>;

  HealthWatch(Answered answered, Use use, Clock& clock, Options options);

  // To be called at least every second. The names of those that are frozen, each once.
  std::vector<std::string> Look(const std::vector<Supervisor::Running>& children);

 private:
  struct Child {
    int pid = 0;
    bool has_answered = false;
    absl::Duration heard = {};     // of the last answer, or of the last sign of work
    double processor_seconds = 0;  // used by then
  };
  bool IsFrozen(Child& child, absl::Duration now) const;

  const Answered answered_;
  const Use use_;
  Clock& clock_;
  const Options options_;
  std::map<std::string, Child> children_;
  std::optional<absl::Duration> looked_;
};

}  // namespace attnrl::tools
