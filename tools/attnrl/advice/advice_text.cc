// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/words.h"
#include "tools/attnrl/advice/advice.h"

namespace attnrl::tools {
namespace {

// A side that idles for less of a step isn't worth a device.
constexpr double kNotable = 0.05;

std::string Count(int64_t number, const char* what) {
  return absl::StrCat(number, " ", what, number == 1 ? "" : "s");
}

std::string Row(const std::string& what, double seconds, const std::string& note = "") {
  return absl::StrFormat("  %-34s %8.2f s%s%s\n", what, seconds, note.empty() ? "" : "  ", note);
}

std::string OfStep(double seconds, const Measured& measured) {
  return absl::StrFormat("%3.0f %% of a step", 100 * seconds / measured.step);
}

std::string MeasuredText(const std::string& run, const Measured& measured) {
  const double rate = measured.sampling > 0 ? measured.tokens / measured.sampling /
                                                  static_cast<double>(measured.workers)
                                            : 0;
  return absl::StrCat(
      run, ": steps ", measured.first_step + 1, " to ", measured.last_step + 1, ", ",
      std::string(WordOf(measured.mode)), ", ", Count(measured.workers, "worker"), ", ",
      Count(measured.ranks, "learner rank"), "\n", Row("a step", measured.step),
      Row("a worker samples", measured.sampling, OfStep(measured.sampling, measured)),
      Row("the learner trains", measured.train, OfStep(measured.train, measured)),
      Row("the learner waits for sampling", measured.wait, OfStep(measured.wait, measured)),
      Row("the longest sample", measured.longest, OfStep(measured.longest, measured)),
      absl::StrFormat("  %-34s %8.0f tokens/s\n", "a worker that samples", rate));
}

std::string TableText(const Measured& measured) {
  std::string table = "  workers  learner ranks   step about   sampling   learning\n";
  for (const Split& split : Neighbours(measured)) {
    const bool now = split.workers == measured.workers && split.ranks == measured.ranks;
    absl::StrAppendFormat(&table, "  %7d  %13d  %9.2f s  %7.2f s  %7.2f s%s\n", split.workers,
                          split.ranks, split.step, split.sampling, split.learning,
                          now ? "  as it is" : "");
  }
  return table;
}

// Who waits for whom.
std::string VerdictText(const Measured& measured) {
  const double waits = measured.wait / measured.step;
  const double idle = 1 - measured.sampling / measured.step;
  if (measured.mode != pipeline::PipelineMode::kOverlapped) {
    return absl::StrFormat(
        "Each side waits for the other: workers idle %.0f %% of a step, the learner %.0f %%; "
        "pipeline.mode overlapped would take about %.2f s.\n",
        100 * std::max(0.0, idle), 100 * waits,
        std::max(measured.sampling, measured.step - measured.wait));
  }
  if (waits >= kNotable && waits >= idle) {
    return absl::StrFormat("The learner waits for sampling, %.0f %% of a step.\n", 100 * waits);
  }
  if (idle >= kNotable) {
    return absl::StrFormat("Workers wait for the learner, %.0f %% of a step.\n", 100 * idle);
  }
  return "Neither side waits for the other.\n";
}

std::string AdviseText(const Measured& measured) {
  const Split now = Predict(measured, measured.workers, measured.ranks);
  const Split best = Best(measured);
  std::string text;
  if (best.step < now.step * (1 - kNotable)) {
    absl::StrAppendFormat(&text,
                          "Of %d devices, %s and %s would be best: a step of about %.2f s.\n",
                          now.workers + now.ranks, Count(best.workers, "worker"),
                          Count(best.ranks, "learner rank"), best.step);
  }
  for (const auto& [what, other] :
       {std::pair{"worker", Predict(measured, measured.workers + 1, measured.ranks)},
        std::pair{"learner rank", Predict(measured, measured.workers, measured.ranks + 1)}}) {
    absl::StrAppendFormat(&text, "One more %s: a step %.2f times as fast.\n", what,
                          now.step / other.step);
  }
  if (measured.workers > 1) {
    const Split fewer = Predict(measured, measured.workers - 1, measured.ranks);
    absl::StrAppendFormat(&text, "One worker fewer: a step %.2f times as fast.\n",
                          now.step / fewer.step);
  }
  return text;
}

}  // namespace

std::string AdviceText(const std::string& run, const Measured& measured) {
  return absl::StrCat(
      MeasuredText(run, measured), "\n", TableText(measured), "\n", VerdictText(measured),
      AdviseText(measured),
      "This assumes that new workers and ranks are like the old ones and have devices of their\n"
      "own, that sampling and training divide evenly among them, that there is work for every\n"
      "slot, and that no step is shorter than its longest sample.\n");
}

}  // namespace attnrl::tools
