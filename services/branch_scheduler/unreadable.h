// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/branch_scheduler/data_set.h"
#include "services/verifier/client/verifier_client.h"

namespace attnrl::scheduler {

// What was left out of a data set.
struct LeftOut {
  std::vector<std::string> places;  // "file:line", in the order of the file
  // SHA-256 of the ids, "none" where there are none: a run that is resumed must leave out the same.
  std::string digest = "none";
};

// Leaves out of `set` (`data.skip_bad`) each problem with an accepted answer that no response can
// match, as `verifier` says: empty or unreadable for the problem's grader, or else for `grader`.
// Waits for as long as the verifier is away, asking `stop` in between, with the time to wait there;
// CANCELLED where that is true. Any other error of the verifier is returned.
absl::StatusOr<LeftOut> LeaveOutUnreadable(const std::string& grader,
                                           verifier::VerifierClient& verifier,
                                           const std::function<bool(absl::Duration)>& stop,
                                           DataSet& set);

}  // namespace attnrl::scheduler
