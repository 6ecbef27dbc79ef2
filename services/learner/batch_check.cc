// SPDX-License-Identifier: Apache-2.0
#include "services/learner/batch_check.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace attnrl::learner {
namespace {

std::string NameOf(const scheduler::TrainingBatch& batch, const scheduler::TrainingSample& sample) {
  return absl::StrCat("batch ", batch.batch, ", problem ", sample.position, ", response ",
                      sample.response, ", node ", sample.node);
}

absl::Status CheckWhole(const std::string& name, const scheduler::TrainingSample& sample) {
  const size_t tokens = sample.response_ids.size();
  if (sample.prompt_ids.empty() || tokens == 0) {
    return absl::FailedPreconditionError(absl::StrCat(name, ": empty prompt or response"));
  }
  if (sample.logprobs.size() != tokens) {
    return absl::FailedPreconditionError(
        absl::StrCat(name, ": ", sample.logprobs.size(), " log-probs for ", tokens, " tokens"));
  }
  size_t advantages = 0, versions = 0;
  for (const auto& run : sample.advantages) advantages += run.tokens;
  for (const auto& run : sample.versions) versions += run.tokens;
  if (advantages != tokens || versions != tokens) {
    return absl::FailedPreconditionError(absl::StrCat(name, ": advantages for ", advantages,
                                                      " and versions for ", versions, " of ",
                                                      tokens, " tokens"));
  }
  return absl::OkStatus();
}

absl::Status CheckLags(const std::string& name, const scheduler::TrainingSample& sample,
                       uint32_t batch, const pipeline::Lags& due) {
  for (const scheduler::VersionRun& run : sample.versions) {
    const char* kind = run.continuation ? "continuation" : "initial";
    if (run.continuation && !due.continuation.has_value()) {
      return absl::FailedPreconditionError(
          absl::StrCat(name, ": has continuation tokens; a run without branching has none"));
    }
    const uint32_t lag = run.continuation ? *due.continuation : due.initial;
    if (run.version != batch - lag) {
      return absl::FailedPreconditionError(absl::StrCat(name, ": ", kind, " tokens sampled by W(",
                                                        run.version, "); the schedule asks for W(",
                                                        batch - lag, "), a lag of ", lag));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckBatch(const pipeline::Schedule& schedule, const scheduler::TrainingBatch& batch) {
  if (batch.base > batch.batch) {
    return absl::FailedPreconditionError(
        absl::StrCat("batch ", batch.batch, ": its segment begins only at ", batch.base));
  }
  const pipeline::Lags due = schedule.LagsOf({.base = batch.base, .batch = batch.batch});
  for (const scheduler::TrainingSample& sample : batch.samples) {
    const std::string name = NameOf(batch, sample);
    if (absl::Status whole = CheckWhole(name, sample); !whole.ok()) return whole;
    if (absl::Status lags = CheckLags(name, sample, batch.batch, due); !lags.ok()) return lags;
  }
  return absl::OkStatus();
}

}  // namespace attnrl::learner
