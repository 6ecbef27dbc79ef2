// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/testing/fake_step_runner.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/philox.h"

namespace attnrl::rollout {

std::vector<float> FakeLogits(uint64_t weights, const std::vector<int64_t>& tokens,
                              int64_t vocabulary) {
  uint64_t hash = weights * 1000003 + 17;
  for (const int64_t token : tokens) hash = (hash ^ static_cast<uint64_t>(token)) * 1099511628211u;
  std::vector<float> logits;
  for (int64_t id = 0; id < vocabulary; ++id) {
    const double uniform = RandomUniform({.seed = hash}, static_cast<uint32_t>(id));
    logits.push_back(static_cast<float>(4 * uniform - 2));
  }
  return logits;
}

std::shared_ptr<const model::Transformer> FakeStepRunner::Weights(uint64_t number) {
  // Aliasing an unrelated allocation: the number travels in an object that nobody looks into.
  auto holder = std::make_shared<uint64_t>(number);
  const auto* address = reinterpret_cast<const model::Transformer*>(holder.get());
  return std::shared_ptr<const model::Transformer>(holder, address);
}

void FakeStepRunner::UseModel(std::shared_ptr<const model::Transformer> weights) {
  weights_ = *reinterpret_cast<const uint64_t*>(weights.get());
}

float FakeScore(uint64_t weights, int32_t token, size_t position) {
  return static_cast<float>(weights) + 0.25f * static_cast<float>(token) +
         0.001f * static_cast<float>(position);
}

absl::StatusOr<std::vector<StepScores>> FakeStepRunner::Score(
    std::span<const ScoreRequest> requests) {
  std::vector<StepScores> results;
  for (const ScoreRequest& request : requests) {
    StepScores scores{{static_cast<uint32_t>(request.prompt.size())}, {0}};
    for (size_t i = 0; i < request.response.size(); ++i) {
      scores.ends.push_back(static_cast<uint32_t>(request.prompt.size() + i + 1));
      scores.fci.push_back(FakeScore(weights_, request.response[i], i));
    }
    results.push_back(std::move(scores));
  }
  return results;
}

absl::StatusOr<LogitRows> FakeStepRunner::Run(const StepPlan& plan) {
  if (!failure_.ok()) {
    absl::Status failure = failure_;
    failure_ = absl::OkStatus();
    return failure;
  }
  logits_.clear();
  largest_step_ = std::max(largest_step_, plan.rows());
  rows_ += plan.rows();
  for (const PrefixCopy& copy : plan.copies) {
    const std::vector<int64_t>& from = slots_[static_cast<size_t>(copy.from_slot)];
    if (copy.from_slot == copy.to_slot || copy.tokens > static_cast<int64_t>(from.size())) {
      return absl::InternalError(
          absl::StrCat("slot ", copy.from_slot, " has no ", copy.tokens, " tokens to copy"));
    }
    slots_[static_cast<size_t>(copy.to_slot)].assign(from.begin(), from.begin() + copy.tokens);
  }
  auto next = plan.ids.begin();
  for (const PlannedSequence& sequence : plan.sequences) {
    std::vector<int64_t>& tokens = slots_[static_cast<size_t>(sequence.slot)];
    if (sequence.past == 0) tokens.clear();
    if (static_cast<int64_t>(tokens.size()) != sequence.past || sequence.rows < 1) {
      return absl::InternalError(absl::StrCat("slot ", sequence.slot, " holds ", tokens.size(),
                                              " tokens, the plan says ", sequence.past));
    }
    tokens.insert(tokens.end(), next, next + sequence.rows);
    next += sequence.rows;
    const std::vector<float> row = FakeLogits(weights_, tokens, vocabulary_);
    logits_.insert(logits_.end(), row.begin(), row.end());
  }
  return LogitRows{logits_, vocabulary_};
}

}  // namespace attnrl::rollout
