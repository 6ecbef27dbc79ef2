// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/rpc/training_data.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "common/observe/log.h"
#include "services/branch_scheduler/assemble.h"
#include "services/branch_scheduler/unreadable.h"

namespace attnrl::scheduler {
namespace {

// Says what was left out in one line, with the first places.
void LogLeftOut(const LeftOut& left_out) {
  if (left_out.places.empty()) return;
  constexpr size_t kShown = 3;
  const std::vector<std::string> shown(
      left_out.places.begin(), left_out.places.begin() + static_cast<std::ptrdiff_t>(std::min(
                                                             kShown, left_out.places.size())));
  observe::LogWarning("records whose accepted answer no response can match are left out",
                      {{"records", left_out.places.size()}, {"first", absl::StrJoin(shown, ", ")}});
}

}  // namespace

absl::StatusOr<TrainingData> TrainingData::Load(const config::Config& config,
                                                const PromptEncoder& encode) {
  TrainingData data;
  data.uses_ = config::TrainingSets(config);
  for (const config::TrainingSet& use : data.uses_) {
    if (data.files_.contains(use.path)) continue;
    ATTNRL_ASSIGN_OR_RETURN(
        data.files_[use.path],
        LoadDataSet("data.train", use.path, TrainingFields(config.data),
                    static_cast<uint32_t>(config.rollout.max_prompt_tokens), encode));
  }
  return data;
}

absl::Status TrainingData::LeaveOutUnreadable(const std::string& grader,
                                              verifier::VerifierClient& verifier,
                                              const std::function<bool(absl::Duration)>& stop) {
  for (auto& [path, set] : files_) {
    ATTNRL_ASSIGN_OR_RETURN(const LeftOut left_out,
                            scheduler::LeaveOutUnreadable(grader, verifier, stop, set));
    LogLeftOut(left_out);
    left_out_[path] = left_out.digest;
  }
  return absl::OkStatus();
}

void TrainingData::AddTo(std::map<std::string, std::string>& fingerprint) const {
  for (const config::TrainingSet& use : uses_) {
    const bool first = use.from_step == 0;
    const std::string name =
        first ? "data.train" : absl::StrCat("data.train from step ", use.from_step);
    if (!first) fingerprint[name + " (content)"] = files_.at(use.path).digest;
    const auto left_out = left_out_.find(use.path);
    if (left_out != left_out_.end()) fingerprint[name + " (left out)"] = left_out->second;
  }
}

DataSet TrainingData::Join() && {
  std::vector<DataSet> sets;
  for (const config::TrainingSet& use : uses_) sets.push_back(files_.at(use.path));
  files_.clear();
  return scheduler::Join(std::move(sets));
}

}  // namespace attnrl::scheduler
