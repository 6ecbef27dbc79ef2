// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/processes/supervisor.h"

#include <algorithm>
#include <csignal>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "tools/attnrl/progress.h"

namespace attnrl::tools {
namespace {

bool Named(const std::vector<std::string>& names, const std::string& name) {
  return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

Supervisor::Supervisor(Processes& processes, Clock& clock, SupervisorOptions options)
    : processes_(processes), clock_(clock), options_(options) {}

Supervisor::~Supervisor() {
  Stop({}, absl::ZeroDuration(), [] { return true; });
}

absl::Status Supervisor::Start(const ProcessSpec& spec) {
  ATTNRL_ASSIGN_OR_RETURN(const int pid, processes_.Start(spec));
  Child child;
  child.spec = spec;
  child.pid = pid;
  children_.push_back(std::move(child));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<ChildEvent>> Supervisor::Poll() {
  std::vector<ChildEvent> events;
  for (Child& child : children_) {
    if (child.pid.has_value()) {
      const std::optional<ProcessExit> exit = processes_.Poll(*child.pid);
      if (!exit.has_value()) continue;
      child.pid.reset();
      if (child.wanted) ATTNRL_RETURN_IF_ERROR(NoteDeath(child, *exit, events));
    } else if (child.wanted && clock_.Monotonic() >= child.restart_at) {
      ATTNRL_ASSIGN_OR_RETURN(const int pid, processes_.Start(child.spec));
      child.pid = pid;
      ++child.restarts;
      events.push_back({ChildEvent::kRestarted, child.spec.name, {}, {}});
    }
  }
  return events;
}

absl::Status Supervisor::NoteDeath(Child& child, const ProcessExit& exit,
                                   std::vector<ChildEvent>& events) {
  const std::string& name = child.spec.name;
  for (Child& other : children_) {
    if (other.spec.follows != name || !other.pid.has_value()) continue;
    other.taken_along = true;
    processes_.Signal(*other.pid, SIGKILL);
  }
  if (exit.signal == 0 && exit.code == kExitBadInput) {
    culprit_ = name;
    return absl::InvalidArgumentError(absl::StrCat(name, " refused its input"));
  }
  if (exit.signal == 0 && exit.code == kExitDiskFull) {
    culprit_ = name;
    return absl::ResourceExhaustedError(absl::StrCat(name, " stopped: the disk is full"));
  }
  const absl::Duration now = clock_.Monotonic();
  if (std::exchange(child.taken_along, false)) {  // no fault of its own
    child.restart_at = now + options_.first_backoff;
    events.push_back({ChildEvent::kDied, name, exit, options_.first_backoff});
    return absl::OkStatus();
  }
  child.deaths.push_back(now);
  while (now - child.deaths.front() > options_.death_window) child.deaths.pop_front();
  if (static_cast<int>(child.deaths.size()) >= options_.deaths_to_give_up) {
    culprit_ = name;
    return absl::AbortedError(absl::StrCat(name, " died ", child.deaths.size(), " times within ",
                                           ShortDuration(options_.death_window),
                                           " without a step in between, last by ", exit.Text()));
  }
  if (std::exchange(child.killed, false) && ++child.kills >= options_.deaths_to_give_up) {
    culprit_ = name;
    return absl::AbortedError(
        absl::StrCat(name, " stood still ", child.kills, " times without a step in between"));
  }
  const absl::Duration wait =
      std::min(options_.longest_backoff,
               options_.first_backoff * (1 << std::min(child.deaths_since_progress, 20)));
  ++child.deaths_since_progress;
  child.restart_at = now + wait;
  events.push_back({ChildEvent::kDied, name, exit, wait});
  return absl::OkStatus();
}

void Supervisor::NoteProgress() {
  for (Child& child : children_) {
    child.deaths_since_progress = 0;
    child.deaths.clear();
    child.kills = 0;
  }
}

void Supervisor::Kill(const std::string& name) {
  for (Child& child : children_) {
    if (child.spec.name != name || !child.pid.has_value()) continue;
    child.killed = true;
    processes_.Signal(*child.pid, SIGKILL);
  }
}

void Supervisor::Signal(const std::vector<std::string>& names, bool kill) {
  for (Child& child : children_) {
    if (!Named(names, child.spec.name)) continue;
    child.wanted = false;
    if (child.pid.has_value()) processes_.Signal(*child.pid, kill ? SIGKILL : SIGTERM);
  }
}

bool Supervisor::AnyRunning(const std::vector<std::string>& names) {
  bool any = false;
  for (Child& child : children_) {
    if (!Named(names, child.spec.name) || !child.pid.has_value()) continue;
    if (processes_.Poll(*child.pid).has_value()) {
      child.pid.reset();
    } else {
      any = true;
    }
  }
  return any;
}

std::vector<Supervisor::Running> Supervisor::running() const {
  std::vector<Running> out;
  for (const Child& child : children_) {
    if (child.pid.has_value()) out.push_back({child.spec.name, *child.pid, child.restarts});
  }
  return out;
}

}  // namespace attnrl::tools
