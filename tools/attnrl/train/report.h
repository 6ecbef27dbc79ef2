// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "services/branch_scheduler/records/verdicts.h"

namespace attnrl::tools {

// Text for people from the lines of metrics.jsonl. Pure functions.

// The few numbers of a line that the console shows; absent where the line has null.
struct StepLine {
  int64_t step = 0;
  std::optional<double> reward, accuracy, loss, entropy, truncated, response_tokens;
  int64_t generated_tokens = 0;
  int64_t valid_samples = 0;
  int64_t optimizer_steps = 0, nonfinite_steps = 0;
  // Share of branch points whose continuations disagree, and of pairs of initial responses that do;
  // nullopt where nothing branched.
  std::optional<double> branch_gain, initial_gain;
  // The learner's best checkpoint and its accuracy; absent before there is one.
  std::optional<double> best_checkpoint, best_accuracy;
  // Of all leaves; all 0 in a line of a run from before they were counted.
  scheduler::BatchVerdicts graded;
  double step_seconds = 0, rollout_seconds = 0, learn_seconds = 0, wait_seconds = 0;
};

// nullopt where the line isn't one of metrics.jsonl.
std::optional<StepLine> ParseStepLine(std::string_view json);

// "step  12/40  accuracy 0.431  ...  4.1 s (rollout 3.0, learn 2.8, waited 0.4)".
std::string FormatStep(const StepLine& line, int64_t steps);

// "verdicts 0 correct, 12 incorrect, 70 no_answer, 14 unparsable, 0 limit, 0 timeout, 0 crash; 60
// of 96 cut off". Empty where the line has no counts.
std::string FormatVerdicts(const StepLine& line);

// "step-40, accuracy 0.431 over the batches before it". Empty where the line names none.
std::string FormatBest(const StepLine& line);

// "1 step", "12 steps"; `things` where it isn't `thing` with an s.
std::string Counted(int64_t count, const std::string& thing, const std::string& things = "");

// The table at the end: first and last fifth of the steps side by side. Empty without lines.
std::string FormatSummary(const std::vector<StepLine>& lines, absl::Duration elapsed);

// "312 MB", "1.4 GB".
std::string FormatBytes(int64_t bytes);
// "812", "24.1 k", "1.20 M", "1.78 B".
std::string FormatCount(int64_t count);

}  // namespace attnrl::tools
