// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/watch.h"

#include <filesystem>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/config/records_folder.h"
#include "services/branch_scheduler/records/nothing_right.h"
#include "tools/attnrl/hint.h"

namespace attnrl::tools {
namespace {

constexpr absl::Duration kStatusDeadline = absl::Seconds(2);
// Of a child's stdout and stderr.
constexpr int64_t kMaxOutputBytes = int64_t{4} << 20;

// What the newest unfinished batch waits for, in a few words.
std::string Note(const scheduler::RunStatus& status) {
  if (status.state == scheduler::RunState::kPaused) return status.reason;
  if (status.workers.empty()) return "no worker is connected";
  for (const scheduler::BatchStatus& batch : status.batches) {
    if (batch.phase != "sampling") continue;
    std::string note = absl::StrCat("batch ", batch.batch, ": ", batch.initial_done, "/",
                                    batch.initial_total, " responses");
    if (batch.continuation_total > 0) {
      absl::StrAppend(&note, ", ", batch.continuation_done, "/", batch.continuation_total,
                      " continued");
    }
    return note;
  }
  return std::string(scheduler::RunStateName(status.state));
}

}  // namespace

RunWatch::RunWatch(Options options, Supervisor& supervisor, scheduler::Admin& admin,
                   Progress& progress, Clock& clock, std::function<int()> interrupts)
    : options_(std::move(options)),
      supervisor_(supervisor),
      admin_(admin),
      progress_(progress),
      clock_(clock),
      interrupts_(std::move(interrupts)),
      metrics_(config::RecordsFolder(options_.run_directory) + "/metrics.jsonl"),
      notices_(options_.run_directory, options_.names) {
  if (options_.answered) {
    health_.emplace(options_.answered, ReadProcessUse, clock_, HealthWatch::Options{});
  }
}

void RunWatch::SkipOldSteps() {
  for (const std::string& text : metrics_.NewLines()) {
    if (const std::optional<StepLine> line = ParseStepLine(text)) steps_.push_back(*line);
  }
  notices_.Skip();
}

absl::Status RunWatch::Watch() {
  absl::Duration ask_at = clock_.Monotonic();
  for (;;) {
    if (interrupts_() > 0) return absl::CancelledError("interrupted");
    ATTNRL_RETURN_IF_ERROR(Look());
    if (clock_.Monotonic() >= ask_at) {
      KillFrozen();
      for (const std::string& name : options_.names) {
        BoundOutput(OutputPath(options_.run_directory, name), kMaxOutputBytes);
      }
      bool over = false;
      const absl::Status status = AskScheduler(&over);
      // What the run did last stands above what ended it.
      ShowNews();
      if (over || !status.ok()) return status;
      ask_at = clock_.Monotonic() + options_.ask_every;
    }
    const auto done = static_cast<int64_t>(steps_.size());
    paused_ ? progress_.Stand(done, note_) : progress_.Update(done, note_);
    clock_.Sleep(options_.look_every);
  }
}

absl::Status RunWatch::Look() {
  absl::StatusOr<std::vector<ChildEvent>> events = supervisor_.Poll();
  if (!events.ok()) return Explain(events.status());
  for (const ChildEvent& event : *events) Say(event);
  ShowNewSteps();
  return absl::OkStatus();
}

void RunWatch::KillFrozen() {
  if (!health_.has_value()) return;
  for (const std::string& name : health_->Look(supervisor_.running())) {
    progress_.Line(absl::StrCat(
        name, " is frozen: for ", ShortDuration(HealthWatch::Options{}.silence),
        " it has neither answered a health check nor used the processor; it is killed"));
    supervisor_.Kill(name);
  }
}

void RunWatch::ShowNewSteps() {
  for (const std::string& text : metrics_.NewLines()) {
    const std::optional<StepLine> line = ParseStepLine(text);
    if (!line.has_value()) continue;
    steps_.push_back(*line);
    supervisor_.NoteProgress();
    progress_.Line(FormatStep(*line, options_.steps));
    WarnIfNothingIsRight();
    if (std::exchange(memory_shown_, true) || supervisor_.running().empty()) continue;
    progress_.Line("memory in use: " + MemoryInUse());
  }
}

void RunWatch::ShowNews() {
  ShowNewSteps();
  for (const std::string& line : notices_.New()) progress_.Line(line);
}

void RunWatch::WarnIfNothingIsRight() {
  if (steps_.size() != scheduler::kFirstBatches) return;
  std::vector<scheduler::BatchVerdicts> first;
  for (const StepLine& line : steps_) first.push_back(line.graded);
  if (const auto words =
          scheduler::NothingRight(first, options_.max_response_tokens, options_.run_directory)) {
    progress_.Line("warning: " + *words);
  }
}

absl::Status RunWatch::AskScheduler(bool* over) {
  const absl::Status written = WriteEndpoints(options_.run_directory, options_.names);
  if (!std::exchange(endpoints_fail_, !written.ok()) && !written.ok()) {
    progress_.Line(absl::StrCat("warning: the run goes on without the metrics' addresses: ",
                                std::string(written.message())));
  }
  const absl::StatusOr<scheduler::RunStatus> status = admin_.Status(kStatusDeadline);
  if (!status.ok()) {
    note_ = "waiting for the branch-scheduler";  // starting, or restarted by Poll
    return absl::OkStatus();
  }
  if (!std::exchange(asked_, true) && options_.resumed &&
      status->state == scheduler::RunState::kDraining) {
    asked_ = admin_.Resume(/*keep_pause=*/true, kStatusDeadline).ok();
    return absl::OkStatus();
  }
  note_ = Note(*status);
  SayPause(*status);
  // A learner that was killed at the very end still owes the last checkpoint.
  *over = status->state == scheduler::RunState::kFinished &&
          std::filesystem::exists(
              absl::StrCat(options_.run_directory, "/checkpoints/step-", options_.steps));
  // The scheduler takes no worker back while it drains: nothing more will come.
  drained_ = status->state == scheduler::RunState::kDraining && status->workers.empty() &&
             status->active_leases == 0;
  *over |= drained_;
  return absl::OkStatus();
}

void RunWatch::SayPause(const scheduler::RunStatus& status) {
  const bool paused = status.state == scheduler::RunState::kPaused;
  if (std::exchange(paused_, paused) == paused) return;
  if (paused) {
    progress_.Line(absl::StrCat("the run is ", status.reason, "; go on with: ",
                                Hint({"resume", "--scheduler", options_.run_directory})));
  } else if (status.state == scheduler::RunState::kRunning) {
    progress_.Line("the run goes on");
  }
}

void RunWatch::Say(const ChildEvent& event) {
  if (event.kind == ChildEvent::kRestarted) {
    progress_.Line(absl::StrCat(event.name, " started again"));
    return;
  }
  progress_.Line(absl::StrCat(event.name, " ended (", event.exit.Text(),
                              "), last words: ", LastWords(options_.run_directory, event.name),
                              "; log ", LogPath(options_.run_directory, event.name),
                              "; starts again in ", absl::FormatDuration(event.restarts_in)));
}

absl::Status RunWatch::Explain(const absl::Status& status) const {
  const std::string& name = supervisor_.culprit();
  if (name.empty()) return status;
  const std::string words = LastWords(options_.run_directory, name);
  // What the child found wrong is the message; who found it is a detail.
  if (IsInputError(status) && absl::StartsWith(words, "error: ")) {
    return absl::InvalidArgumentError(absl::StrCat(words.substr(7), " (", name, ")"));
  }
  return absl::Status(status.code(),
                      absl::StrCat(std::string(status.message()), "; last words: ", words, "; log ",
                                   LogPath(options_.run_directory, name)));
}

std::string RunWatch::MemoryInUse() {
  std::string text;
  int64_t total = 0;
  for (const Supervisor::Running& child : supervisor_.running()) {
    const int64_t bytes = ReadProcessMemory(child.pid);
    absl::StrAppend(&text, text.empty() ? "" : ", ", child.name, " ", FormatBytes(bytes), " in ",
                    ReadProcessUse(child.pid).threads, " threads");
    total += bytes;
  }
  return absl::StrCat(text, "; together ", FormatBytes(total));
}

}  // namespace attnrl::tools
