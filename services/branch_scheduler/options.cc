// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/options.h"

#include <iterator>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/branch_scheduler/item_id.h"
#include "services/branch_scheduler/types.h"

namespace attnrl::scheduler {
namespace {

absl::Status InRange(const char* key, uint64_t value, uint64_t low, uint64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return InputError(key, absl::StrCat(value, " is out of range"),
                    absl::StrCat(low, " to ", high, " is allowed"));
}

// What doesn't travel is refused before anything is sampled, not at the first response that is so
// long.
absl::Status CheckLengths(const StageOptions& stage, const SchedulerOptions& options) {
  ATTNRL_RETURN_IF_ERROR(
      InRange("rollout.max_prompt_tokens", options.max_prompt_tokens, 1, kMaxSequenceTokens - 1));
  ATTNRL_RETURN_IF_ERROR(InRange("rollout.max_response_tokens", stage.max_response_tokens, 1,
                                 kMaxSequenceTokens - options.max_prompt_tokens));
  const uint64_t samples = uint64_t{options.branching.points} * options.branching.children;
  if (!options.branches() || samples * stage.max_response_tokens <= kMaxResultSize) {
    return absl::OkStatus();
  }
  return InputError("algorithm.branching.points",
                    absl::StrCat(options.branching.points, " with ", options.branching.children,
                                 " children each of ", stage.max_response_tokens,
                                 " tokens (rollout.max_response_tokens) make a result of ",
                                 samples * stage.max_response_tokens),
                    absl::StrCat("at most ", kMaxResultSize, " tokens are allowed"));
}

absl::Status CheckStage(const StageOptions& stage, bool tree_advantages) {
  ATTNRL_RETURN_IF_ERROR(
      InRange("algorithm.sampling.batch_problems", stage.batch_problems, 1, kMaxPositions));
  // Group-normalised advantages divide by the deviation of n - 1 degrees of freedom.
  return InRange("algorithm.sampling.initial_responses", stage.initial_responses,
                 tree_advantages ? 1 : 2, kMaxResponses);
}

}  // namespace

const StageOptions& SchedulerOptions::At(uint32_t batch) const {
  const auto after = later.upper_bound(batch);
  return after == later.begin() ? first : std::prev(after)->second;
}

tree::BatchSizing SchedulerOptions::sizing(uint32_t batch) const {
  const StageOptions& now = At(batch);
  const int64_t leaves = 1 + (branches() ? int64_t{branching.points} * branching.children : 0);
  return {.first = now.batch_problems,
          .min = adaptive.batch_min,
          .max = adaptive.batch_max,
          .target = int64_t{now.batch_problems} * now.initial_responses * leaves};
}

absl::Status SchedulerOptions::Validate() const {
  constexpr uint64_t kMaxSteps = uint64_t{1} << 30;
  ATTNRL_RETURN_IF_ERROR(InRange("run.steps", steps, 1, kMaxSteps));
  ATTNRL_RETURN_IF_ERROR(InRange("run.max_empty_batches", max_empty_batches, 1, kMaxSteps));
  ATTNRL_RETURN_IF_ERROR(InRange("learner.checkpoints_kept", checkpoints_kept, 2, kMaxSteps));
  ATTNRL_RETURN_IF_ERROR(CheckStage(first, tree_advantages));
  for (const auto& [batch, stage] : later) {
    ATTNRL_RETURN_IF_ERROR(InRange("stages: from_step", batch, 1, kMaxSteps));
    ATTNRL_RETURN_IF_ERROR(CheckStage(stage, tree_advantages));
  }
  if (adaptive.adaptive_batch) {
    ATTNRL_RETURN_IF_ERROR(
        InRange("algorithm.sampling.batch_max", adaptive.batch_max, 1, kMaxPositions));
    ATTNRL_RETURN_IF_ERROR(
        InRange("algorithm.sampling.batch_min", adaptive.batch_min, 1, adaptive.batch_max));
  }
  if (branches()) {
    ATTNRL_RETURN_IF_ERROR(InRange("algorithm.branching.points", branching.points, 1, 64));
    ATTNRL_RETURN_IF_ERROR(InRange("algorithm.branching.children", branching.children, 1, 64));
  }
  ATTNRL_RETURN_IF_ERROR(CheckLengths(first, *this));
  for (const auto& [batch, stage] : later) ATTNRL_RETURN_IF_ERROR(CheckLengths(stage, *this));
  if (branches() != tree_advantages) {
    return InputError("algorithm.advantages", "does not fit the branching criterion",
                      "tree with a branching criterion, group with criterion none");
  }
  if (!(temperature > 0)) {
    return InputError("rollout.temperature", "responses would all be the same",
                      "a temperature above 0 is needed for training");
  }
  if (top_p < 1 || top_k != 0) {
    return InputError("rollout.top_p", "truncated sampling can't be trained on",
                      "top_p 1 and top_k 0 are needed for training");
  }
  ATTNRL_RETURN_IF_ERROR(
      InRange("model.path: vocab_size", static_cast<uint64_t>(vocabulary), 1, uint64_t{1} << 31));
  if (stop_ids.empty()) return InputError("model.path", "no end token", "at least one is needed");
  return absl::OkStatus();
}

}  // namespace attnrl::scheduler
