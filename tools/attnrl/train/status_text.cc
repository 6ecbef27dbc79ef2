// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/status_text.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "common/json/json.h"
#include "tools/attnrl/train/report.h"

namespace attnrl::tools {

std::string StatusText(const scheduler::RunStatus& status, const std::string& resume) {
  const std::string state(scheduler::RunStateName(status.state));
  std::string text =
      absl::StrFormat("%s, %d of %d steps", state, status.steps_done, status.steps_total);
  // The reason of a pause or a drain begins with the state.
  std::string_view reason = status.reason;
  for (const char* end : {": ", "; "}) {
    if (reason.starts_with(state + end)) reason.remove_prefix(state.size() + 2);
  }
  if (!reason.empty() && reason != state) absl::StrAppend(&text, " (", std::string(reason), ")");
  if (status.state == scheduler::RunState::kPaused) {
    absl::StrAppend(&text, "\n        go on with: ", resume);
  }
  absl::StrAppend(&text, "\nweights ");
  if (status.newest_version.digest.empty()) {
    absl::StrAppend(&text, "none yet");
  } else {
    absl::StrAppend(&text, "W(", status.newest_version.number, ") ",
                    status.newest_version.digest.substr(0, 12));
  }
  absl::StrAppend(&text, ", ", Counted(status.open_items, "open item"), ", ", status.active_leases,
                  " of them with workers\n");
  for (const scheduler::WorkerStatus& worker : status.workers) {
    absl::StrAppend(&text, "worker  ", worker.worker, ": works on ", Counted(worker.leases, "item"),
                    ", room for ", worker.capacity, ", ",
                    Counted(static_cast<int64_t>(worker.results), "result"), ", ",
                    FormatCount(static_cast<int64_t>(worker.generated_tokens)), " tokens\n");
    if (!worker.parked.empty()) absl::StrAppend(&text, "        parked: ", worker.parked, "\n");
  }
  for (const scheduler::BatchStatus& batch : status.batches) {
    absl::StrAppend(
        &text, absl::StrFormat(
                   "batch   %d %s: %d of %d problems graded, %d/%d responses, %d/%d continued\n",
                   batch.batch, batch.phase, batch.graded, batch.problems, batch.initial_done,
                   batch.initial_total, batch.continuation_done, batch.continuation_total));
  }
  for (const std::string& wait : status.waits) absl::StrAppend(&text, "waits   for ", wait, "\n");
  if (const auto line = ParseStepLine(status.last_metrics_json)) {
    absl::StrAppend(&text, FormatStep(*line, status.steps_total), "\n");
    if (const std::string verdicts = FormatVerdicts(*line); !verdicts.empty()) {
      absl::StrAppend(&text, verdicts, "\n");
    }
    if (const std::string best = FormatBest(*line); !best.empty()) {
      absl::StrAppend(&text, "best checkpoint ", best, "\n");
    }
  }
  return Escaped(text);  // names come from workers
}

std::string StatusJson(const scheduler::RunStatus& status) {
  nlohmann::ordered_json out = {
      {"state", std::string(scheduler::RunStateName(status.state))},
      {"reason", status.reason},
      {"steps_done", status.steps_done},
      {"steps_total", status.steps_total},
      {"newest_version",
       {{"number", status.newest_version.number}, {"digest", status.newest_version.digest}}},
      {"open_items", status.open_items},
      {"active_leases", status.active_leases},
      {"workers", nlohmann::ordered_json::array()},
      {"batches", nlohmann::ordered_json::array()},
      {"waits", status.waits},
      {"last_metrics", nullptr},
      {"epoch", status.epoch}};
  for (const scheduler::WorkerStatus& worker : status.workers) {
    out["workers"].push_back({{"worker", worker.worker},
                              {"capacity", worker.capacity},
                              {"leases", worker.leases},
                              {"generated_tokens", worker.generated_tokens},
                              {"results", worker.results},
                              {"parked", worker.parked}});
  }
  for (const scheduler::BatchStatus& batch : status.batches) {
    out["batches"].push_back({{"batch", batch.batch},
                              {"phase", batch.phase},
                              {"problems", batch.problems},
                              {"graded", batch.graded},
                              {"initial_done", batch.initial_done},
                              {"initial_total", batch.initial_total},
                              {"continuation_done", batch.continuation_done},
                              {"continuation_total", batch.continuation_total}});
  }
  const nlohmann::ordered_json metrics =
      ParseOrderedJson(status.last_metrics_json).value_or(nullptr);
  if (metrics.is_object()) out["last_metrics"] = metrics;
  return PrintJson(out);
}

}  // namespace attnrl::tools
