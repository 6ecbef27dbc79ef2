// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/records/nothing_right.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace attnrl::scheduler {
namespace {

// The counts of the first batches together, in the groups that have a remedy of their own.
struct Causes {
  uint64_t all = 0;
  uint64_t no_answer = 0, unparsable = 0, incorrect = 0, limit = 0, ungraded = 0;
  uint64_t truncated = 0;
};

Causes CausesOf(const BatchVerdicts& sum) {
  const VerdictCounts& counts = sum.verdicts;
  return {.all = counts.total(),
          .no_answer = counts[Verdict::kNoAnswer],
          .unparsable = counts[Verdict::kUnparsable],
          .incorrect = counts[Verdict::kIncorrect],
          .limit = counts[Verdict::kLimit],
          .ungraded = counts[Verdict::kTimeout] + counts[Verdict::kCrash],
          .truncated = sum.truncated};
}

// Rounded, but never to nothing or to all where it is neither.
std::string Share(uint64_t part, uint64_t all) {
  const int64_t percent =
      std::llround(100.0 * static_cast<double>(part) / static_cast<double>(all));
  if (percent == 0) return "under 1 %";
  if (percent == 100 && part < all) return "over 99 %";
  return absl::StrCat(percent, " %");
}

std::string Shares(const Causes& causes, int64_t max_response_tokens) {
  std::vector<std::string> parts;
  const auto add = [&](uint64_t part, const std::string& what) {
    if (part > 0) parts.push_back(absl::StrCat(Share(part, causes.all), " ", what));
  };
  add(causes.no_answer, "had no \\boxed{} answer");
  add(causes.unparsable, "had an empty or unreadable \\boxed{}");
  add(causes.incorrect, "had a wrong answer");
  add(causes.limit, "exceeded a limit of the grader");
  add(causes.ungraded, "could not be graded (time-out or crash)");
  add(causes.truncated, absl::StrCat("were cut off at ", max_response_tokens, " tokens"));
  return absl::StrJoin(parts, ", ");
}

// What would help against the most frequent cause.
std::string Advice(const Causes& causes) {
  const uint64_t missing = causes.no_answer + causes.unparsable;
  const uint64_t most = std::max({missing, causes.incorrect, causes.limit, causes.ungraded});
  if (missing == most) {
    // Whoever is cut off had no time to answer, whatever the prompt asks for.
    if (2 * causes.truncated >= causes.all) return "raise rollout.max_response_tokens";
    const char* ask = causes.no_answer >= causes.unparsable
                          ? "ask for the answer in \\boxed{} (data.prompt_suffix)"
                          : "say what belongs in \\boxed{} (data.prompt_suffix)";
    return absl::StrCat(ask,
                        ", and give a chat model its template (data.chat, model.chat_template)");
  }
  if (causes.incorrect == most) {
    return "begin with easier problems or a stronger model, and check `answers` of the data set";
  }
  if (causes.limit == most) return "look at what the model writes into \\boxed{}";
  return "the verifier's log says why; verifier.timeout_ms is the time that a response may take";
}

}  // namespace

std::optional<std::string> NothingRight(std::span<const BatchVerdicts> first,
                                        int64_t max_response_tokens, const std::string& run_dir) {
  if (first.size() < kFirstBatches) return std::nullopt;
  BatchVerdicts sum;
  for (const BatchVerdicts& batch : first.first(kFirstBatches)) {
    if (batch.verdicts.total() == 0) return std::nullopt;
    sum.verdicts += batch.verdicts;
    sum.truncated += batch.truncated;
  }
  if (sum.verdicts[Verdict::kCorrect] > 0) return std::nullopt;
  const Causes causes = CausesOf(sum);
  return absl::StrCat("no response of the first ", kFirstBatches, " batches was right (",
                      causes.all, " in all): ", Shares(causes, max_response_tokens), "; ",
                      Advice(causes), "; see `attnrl show ", run_dir, " --batch 0`");
}

}  // namespace attnrl::scheduler
