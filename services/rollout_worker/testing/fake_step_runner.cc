// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/testing/fake_step_runner.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/philox.h"
#include "common/base/status.h"

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

namespace {

uint64_t NumberOf(const model::Transformer& weights) {
  return *reinterpret_cast<const uint64_t*>(&weights);
}

// Where the tokens of a group lie, up to its last row.
std::vector<size_t> PlacesOf(const attention::RowGroup& group) {
  std::vector<size_t> places;
  const auto tokens = static_cast<size_t>(group.first_position + group.rows);
  for (const attention::BlockPiece& piece : group.pieces) {
    for (int32_t offset = piece.from; offset < piece.to && places.size() < tokens; ++offset) {
      places.push_back(static_cast<size_t>(piece.block * attention::kBlockTokens + offset));
    }
  }
  return places;
}

}  // namespace

float FakeScore(uint64_t weights, int32_t token, size_t position) {
  return static_cast<float>(weights) + 0.25f * static_cast<float>(token) +
         0.001f * static_cast<float>(position);
}

absl::StatusOr<std::vector<StepScores>> FakeStepRunner::Score(
    std::span<const ScoreRequest> requests, const model::Transformer& weights) {
  std::vector<StepScores> results;
  for (const ScoreRequest& request : requests) {
    StepScores scores{{static_cast<uint32_t>(request.prompt.size())}, {0}};
    for (size_t i = 0; i < request.response.size(); ++i) {
      scores.ends.push_back(static_cast<uint32_t>(request.prompt.size() + i + 1));
      scores.fci.push_back(FakeScore(NumberOf(weights), request.response[i], i));
    }
    results.push_back(std::move(scores));
  }
  return results;
}

absl::StatusOr<std::vector<SampledToken>> FakeStepRunner::Run(const StepPlan& plan,
                                                              const model::Transformer& weights) {
  if (!failure_.ok()) {
    absl::Status failure = failure_;
    failure_ = absl::OkStatus();
    return failure;
  }
  const uint64_t number = NumberOf(weights);
  weights_run_.push_back(number);
  largest_run_ = std::max(largest_run_, plan.rows());
  rows_ += plan.rows();
  ATTNRL_RETURN_IF_ERROR(Store(plan, number));
  // Every row's logits come from what its places hold after all rows are stored.
  std::vector<SampledToken> sampled;
  Sampler sampler;
  int64_t row = 0;
  for (const attention::RowGroup& group : plan.groups) {
    std::vector<int64_t> tokens;
    for (const size_t place : PlacesOf(group)) {
      if (places_[place].token < 0 || places_[place].weights != number) {
        return absl::InternalError(absl::StrCat("place ", place, " holds token ",
                                                places_[place].token, " of weights ",
                                                places_[place].weights));
      }
      tokens.push_back(places_[place].token);
    }
    row += group.rows;
    if (sampled.size() == plan.samples.size()) continue;
    const SampledRow& sample = plan.samples[sampled.size()];
    if (sample.row != row - 1) continue;
    sampled.push_back(tokens.front() == poison_
                          ? SampledToken{}
                          : sampler.Sample(FakeLogits(number, tokens, vocabulary_), sample.params,
                                           sample.key, sample.index));
  }
  return sampled;
}

absl::Status FakeStepRunner::Store(const StepPlan& plan, uint64_t weights) {
  auto id = plan.ids.begin();
  for (const attention::RowGroup& group : plan.groups) {
    const std::vector<size_t> places = PlacesOf(group);
    if (group.rows < 1 ||
        static_cast<int64_t>(places.size()) != group.first_position + group.rows) {
      return absl::InternalError(absl::StrCat("a group of ", group.rows, " rows after ",
                                              group.first_position, " has ", places.size(),
                                              " places"));
    }
    for (int64_t i = 0; i < group.rows; ++i) {
      places_[places[static_cast<size_t>(group.first_position + i)]] = {*id++, weights};
    }
  }
  return absl::OkStatus();
}

}  // namespace attnrl::rollout
