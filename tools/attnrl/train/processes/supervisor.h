// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "tools/attnrl/train/processes/process.h"

namespace attnrl::tools {

// Exit codes of the services that mean more than "died, start it again".
inline constexpr int kExitBadInput = 2;  // the configuration or a file of the user is wrong
inline constexpr int kExitDiskFull = 3;  // there was no room for what must be durable

struct SupervisorOptions {
  // Wait before a restart: doubles with each death of that child since the last progress.
  absl::Duration first_backoff = absl::Milliseconds(200);
  absl::Duration longest_backoff = absl::Seconds(10);
  // This many deaths of one child within the window and without progress end the run.
  int deaths_to_give_up = 5;
  absl::Duration death_window = absl::Minutes(2);
};

// What happened to a child, for the console.
struct ChildEvent {
  enum Kind { kDied, kRestarted } kind = kDied;
  std::string name;
  ProcessExit exit;            // of kDied
  absl::Duration restarts_in;  // of kDied
};

// Keeps the children of a run alive: a dead one is started again after a growing wait, until it
// died too often. Those that follow it are killed, so that they start again too. Knows nothing
// about what they do. Not thread-safe: one thread starts, polls and stops. Blocks only in Stop.
class Supervisor {
 public:
  // Both must outlive this.
  Supervisor(Processes& processes, Clock& clock, SupervisorOptions options = {});
  // Kills what is left.
  ~Supervisor();

  absl::Status Start(const ProcessSpec& spec);

  // Looks at every child and restarts what is due. An error ends the run: a child that ended with
  // bad input (InvalidArgument), with a full disk (ResourceExhausted), or too often (Aborted). Its
  // message names the child and how it ended.
  absl::StatusOr<std::vector<ChildEvent>> Poll();

  // The run got a step further: earlier deaths no longer count.
  void NoteProgress();

  // SIGTERM to the named children (all for an empty list), then waits up to `grace` in small steps,
  // calling `hurry` (which ends the wait when it answers true), then SIGKILL. They are not
  // restarted.
  template <typename Hurry>
  void Stop(const std::vector<std::string>& names, absl::Duration grace, Hurry hurry) {
    Signal(names, /*kill=*/false);
    const absl::Duration deadline = clock_.Monotonic() + grace;
    while (AnyRunning(names) && clock_.Monotonic() < deadline && !hurry()) {
      clock_.Sleep(absl::Milliseconds(20));
    }
    Signal(names, /*kill=*/true);
    while (AnyRunning(names)) clock_.Sleep(absl::Milliseconds(5));
  }

  // Ends a child at once; Poll then starts it again as any that died. Such deaths lie too far apart
  // for the window: deaths_to_give_up of them without progress end the run.
  void Kill(const std::string& name);

  struct Running {
    std::string name;
    int pid = 0;
    int restarts = 0;
  };
  // Those that run now, in the order of Start.
  std::vector<Running> running() const;
  // The child whose end made Poll fail; empty before.
  const std::string& culprit() const { return culprit_; }

 private:
  struct Child {
    ProcessSpec spec;
    std::optional<int> pid;
    bool wanted = true;
    absl::Duration restart_at;
    int deaths_since_progress = 0;
    int restarts = 0;
    std::deque<absl::Duration> deaths;  // within the window
    bool taken_along = false;           // killed because the one that it follows has died
    bool killed = false;                // by Kill, and not yet seen dead
    int kills = 0;                      // since the last progress
  };

  absl::Status NoteDeath(Child& child, const ProcessExit& exit, std::vector<ChildEvent>& events);
  void Signal(const std::vector<std::string>& names, bool kill);
  bool AnyRunning(const std::vector<std::string>& names);

  Processes& processes_;
  Clock& clock_;
  const SupervisorOptions options_;
  std::vector<Child> children_;
  std::string culprit_;
};

}  // namespace attnrl::tools
