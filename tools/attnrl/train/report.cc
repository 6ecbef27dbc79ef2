// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/report.h"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/json/json.h"
#include "tools/attnrl/progress.h"

namespace attnrl::tools {
namespace {

std::optional<double> Number(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

int64_t Count(const nlohmann::json& object, const char* key) {
  return static_cast<int64_t>(Number(object, key).value_or(0));
}

std::string Fixed(std::optional<double> value, int digits) {
  return value.has_value() ? absl::StrFormat("%.*f", digits, *value) : "-";
}

// Mean of a field over a range of lines; absent where no line has it.
std::optional<double> Mean(const std::vector<StepLine>& lines, size_t begin, size_t end,
                           const std::function<std::optional<double>(const StepLine&)>& field) {
  double sum = 0;
  int64_t count = 0;
  for (size_t i = begin; i < end; ++i) {
    if (const std::optional<double> value = field(lines[i])) {
      sum += *value;
      ++count;
    }
  }
  if (count == 0) return std::nullopt;
  return sum / static_cast<double>(count);
}

}  // namespace

std::optional<StepLine> ParseStepLine(std::string_view json) {
  const nlohmann::json record = ParseJson(json).value_or(nullptr);
  if (!record.is_object() || !Number(record, "step").has_value()) return std::nullopt;
  StepLine line;
  line.step = Count(record, "step");
  line.reward = Number(record, "reward_mean");
  line.accuracy = Number(record, "initial_accuracy");
  line.loss = Number(record, "loss");
  line.entropy = Number(record, "entropy");
  line.truncated = Number(record, "truncated_ratio");
  line.response_tokens = Number(record, "response_tokens_mean");
  line.generated_tokens = Count(record, "generated_tokens");
  line.valid_samples = Count(record, "valid_samples");
  line.optimizer_steps = Count(record, "optimizer_steps");
  line.nonfinite_steps = Count(record, "nonfinite_steps");
  line.branch_gain = Number(record, "branch_gain");
  line.initial_gain = Number(record, "initial_gain");
  line.best_checkpoint = Number(record, "best_checkpoint");
  line.best_accuracy = Number(record, "best_checkpoint_accuracy");
  line.graded = scheduler::ReadVerdicts(record);
  const nlohmann::json seconds = record.value("seconds", nlohmann::json::object());
  if (seconds.is_object()) {
    line.step_seconds = Number(seconds, "step").value_or(0);
    line.rollout_seconds = Number(seconds, "rollout").value_or(0);
    line.learn_seconds = Number(seconds, "learn").value_or(0);
    line.wait_seconds = Number(seconds, "wait").value_or(0);
  }
  return line;
}

std::string FormatStep(const StepLine& line, int64_t steps) {
  std::string gain;
  if (line.branch_gain.has_value()) {
    gain = absl::StrFormat("  branch gain %s (responses %s)", Fixed(line.branch_gain, 2),
                           Fixed(line.initial_gain, 2));
  }
  std::string skipped;
  if (line.nonfinite_steps > 0) {
    skipped = absl::StrFormat(", skipped %d of %d optimizer steps as not finite",
                              line.nonfinite_steps, line.nonfinite_steps + line.optimizer_steps);
  }
  return absl::StrFormat(
      "step %3d/%d  accuracy %s%s  trained %d samples%s  sampled %s tokens (%s a response, %s %% "
      "cut)  entropy %s  %.1f s (rollout %.1f, learn %.1f, learner waited %.1f)",
      line.step + 1, steps, Fixed(line.accuracy, 3), gain, line.valid_samples, skipped,
      FormatCount(line.generated_tokens), Fixed(line.response_tokens, 0),
      line.truncated.has_value() ? Fixed(*line.truncated * 100, 0) : "-", Fixed(line.entropy, 3),
      line.step_seconds, line.rollout_seconds, line.learn_seconds, line.wait_seconds);
}

std::string FormatVerdicts(const StepLine& line) {
  const scheduler::VerdictCounts& verdicts = line.graded.verdicts;
  if (verdicts.total() == 0) return "";
  std::vector<std::string> counts;
  for (const auto& [word, verdict] : WordsOf(scheduler::Verdict{})) {
    counts.push_back(absl::StrCat(verdicts[verdict], " ", std::string(word)));
  }
  return absl::StrCat("verdicts ", absl::StrJoin(counts, ", "), "; ", line.graded.truncated, " of ",
                      verdicts.total(), " cut off");
}

std::string FormatBest(const StepLine& line) {
  if (!line.best_checkpoint.has_value()) return "";
  return absl::StrFormat("step-%.0f, accuracy %s over the batches before it", *line.best_checkpoint,
                         Fixed(line.best_accuracy, 3));
}

std::string Counted(int64_t count, const std::string& thing, const std::string& things) {
  if (count == 1 || things.empty()) {
    return absl::StrCat(count, " ", thing, count == 1 ? "" : "s");
  }
  return absl::StrCat(count, " ", things);
}

std::string FormatSummary(const std::vector<StepLine>& lines, absl::Duration elapsed) {
  if (lines.empty()) return "";
  const size_t part = std::max<size_t>(1, lines.size() / 5);
  const size_t last = lines.size() - part;
  int64_t tokens = 0;
  for (const StepLine& line : lines) tokens += line.generated_tokens;
  std::string text = absl::StrFormat("%s, %s sampled tokens, %s\n",
                                     Counted(static_cast<int64_t>(lines.size()), "step"),
                                     FormatCount(tokens), ShortDuration(elapsed));
  const auto span = [&lines](size_t begin, size_t end) {  // numbers as FormatStep counts them
    const int64_t first = lines[begin].step + 1, final = lines[end - 1].step + 1;
    return first == final ? absl::StrCat(first) : absl::StrCat(first, "-", final);
  };
  absl::StrAppend(&text, absl::StrFormat("%-28s%12s%12s\n", "mean over steps", span(0, part),
                                         span(last, lines.size())));
  const auto row = [&](const char* name, int digits, const auto& field) {
    absl::StrAppend(
        &text, absl::StrFormat("%-28s%12s%12s\n", name, Fixed(Mean(lines, 0, part, field), digits),
                               Fixed(Mean(lines, last, lines.size(), field), digits)));
  };
  row("accuracy (training problems)", 3, [](const StepLine& l) { return l.accuracy; });
  row("entropy", 3, [](const StepLine& l) { return l.entropy; });
  row("response tokens", 1, [](const StepLine& l) { return l.response_tokens; });
  row("seconds a step", 2, [](const StepLine& l) { return std::optional<double>(l.step_seconds); });
  return text;
}

std::string FormatBytes(int64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (value < 1e9) return absl::StrFormat("%.0f MB", value / 1e6);
  return absl::StrFormat("%.1f GB", value / 1e9);
}

std::string FormatCount(int64_t count) {
  const auto value = static_cast<double>(count);
  if (count < 1000) return absl::StrCat(count);
  if (count < 1000000) return absl::StrFormat("%.1f k", value / 1e3);
  if (value < 1e9) return absl::StrFormat("%.2f M", value / 1e6);
  return absl::StrFormat("%.2f B", value / 1e9);
}

}  // namespace attnrl::tools
