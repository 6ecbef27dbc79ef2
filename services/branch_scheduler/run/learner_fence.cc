// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/run/learner_fence.h"

#include <algorithm>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace attnrl::scheduler {
namespace {

// Keys of the table `run` (store/README.md, "Database").
constexpr char kEpoch[] = "learner_epoch";
constexpr char kLearner[] = "learner";
constexpr char kPlace[] = "learner_place";

bool HasControl(const std::string& text) {
  return std::any_of(text.begin(), text.end(), absl::ascii_iscntrl);
}

}  // namespace

absl::StatusOr<LearnerFence> LearnerFence::With(const std::string& newest,
                                                const std::string& at) const {
  if (newest.empty() || newest.size() > kMaxName) {
    return InputError("learner", absl::StrCat("a name of ", newest.size(), " bytes"),
                      absl::StrCat("1 to ", kMaxName));
  }
  if (at.size() > kMaxName || HasControl(newest) || HasControl(at)) {
    return InputError("learner", "a name or place that is too long or has control characters",
                      absl::StrCat("at most ", kMaxName, " bytes of text"));
  }
  if (epoch > 0 && newest == learner) return *this;
  return LearnerFence{.epoch = epoch + 1, .learner = newest, .place = at};
}

absl::Status LearnerFence::Check(uint64_t caller) const {
  if (caller == epoch) return absl::OkStatus();
  if (caller > epoch) {
    return absl::AbortedError(absl::StrCat("this learner has the epoch ", caller,
                                           ", the newest of this database is ", epoch,
                                           ": it registered with another one"));
  }
  return absl::AbortedError(absl::StrCat("another learner, ", OneLine(learner, kMaxName),
                                         ", has taken over with epoch ", epoch,
                                         "; this one has epoch ", caller, " and must end"));
}

absl::StatusOr<LearnerFence> LoadLearnerFence(Store& store) {
  LearnerFence fence;
  ATTNRL_ASSIGN_OR_RETURN(const std::optional<std::string> epoch, store.Get(kEpoch));
  ATTNRL_ASSIGN_OR_RETURN(const std::optional<std::string> learner, store.Get(kLearner));
  if (!absl::SimpleAtoi(epoch.value_or("0"), &fence.epoch)) {
    return absl::DataLossError(absl::StrCat("the database's ", kEpoch, " is no number"));
  }
  ATTNRL_ASSIGN_OR_RETURN(const std::optional<std::string> place, store.Get(kPlace));
  fence.learner = learner.value_or("");
  fence.place = place.value_or("");
  return fence;
}

absl::Status StoreLearnerFence(const LearnerFence& fence, Store& store) {
  ATTNRL_RETURN_IF_ERROR(store.Put(kEpoch, absl::StrCat(fence.epoch)));
  ATTNRL_RETURN_IF_ERROR(store.Put(kPlace, fence.place));
  return store.Put(kLearner, fence.learner);
}

}  // namespace attnrl::scheduler
