// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "services/branch_scheduler/client/admin.h"
#include "tools/attnrl/progress.h"
#include "tools/attnrl/train/notices.h"
#include "tools/attnrl/train/processes/health.h"
#include "tools/attnrl/train/processes/supervisor.h"
#include "tools/attnrl/train/report.h"
#include "tools/attnrl/train/run_directory.h"

namespace attnrl::tools {

// Looks after a run whose children are started, until it is over: restarts the dead and
// the frozen, prints a line a step and the bar, says what is wrong with a run whose first batches
// earn nothing and what its services have people see, keeps endpoints.json true. One thread.
// Everything it uses must outlive it.
class RunWatch {
 public:
  struct Options {
    std::string run_directory;
    std::vector<std::string> names;   // of the children, for endpoints.json
    bool resumed = false;             // with --resume, which ends a drain
    HealthWatch::Answered answered;   // asks a child; empty: none is
    int64_t steps = 0;                // run.steps
    int64_t max_response_tokens = 0;  // rollout.max_response_tokens
    absl::Duration look_every = absl::Milliseconds(50);
    absl::Duration ask_every = absl::Milliseconds(500);
  };
  RunWatch(Options options, Supervisor& supervisor, scheduler::Admin& admin, Progress& progress,
           Clock& clock, std::function<int()> interrupts);

  // Before the children start. Steps that earlier starts of the run finished are not printed again,
  // but part of the summary; what services said then isn't repeated either.
  void SkipOldSteps();

  // Blocks until the run has finished or was drained (OK), was interrupted (Cancelled), or can't go
  // on: what a child ended with (see Supervisor::Poll), with its last words and log. A pause is
  // said and waited for.
  absl::Status Watch();
  // Prints the steps that ended since, as while the services were stopped, and what these have
  // people see.
  void ShowNews();

  // Watch ended because somebody drained the run: no work is out and no worker is connected.
  bool drained() const { return drained_; }
  const std::vector<StepLine>& steps() const { return steps_; }
  // "worker-0 210 MB, learner 480 MB", of the children that run now.
  std::string MemoryInUse();

 private:
  absl::Status Look();
  void ShowNewSteps();
  // Kills the children that are frozen; Look starts them again.
  void KillFrozen();
  absl::Status AskScheduler(bool* over);
  // Below the line of the step that completes the first batches: what is wrong where none of them
  // earned anything. Not again after a restart that finds that line.
  void WarnIfNothingIsRight();
  // A line when a pause begins, and one when it ends.
  void SayPause(const scheduler::RunStatus& status);
  void Say(const ChildEvent& event);
  absl::Status Explain(const absl::Status& status) const;

  const Options options_;
  Supervisor& supervisor_;
  scheduler::Admin& admin_;
  Progress& progress_;
  Clock& clock_;
  const std::function<int()> interrupts_;
  LineReader metrics_;
  Notices notices_;
  std::optional<HealthWatch> health_;
  std::vector<StepLine> steps_;
  std::string note_ = "starting";
  bool memory_shown_ = false;
  bool endpoints_fail_ = false;
  bool asked_ = false;   // the scheduler has answered
  bool paused_ = false;  // as was said last
  bool drained_ = false;
};

}  // namespace attnrl::tools
