// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/branch_scheduler/store/store.h"

namespace attnrl::scheduler {

// Which learner may speak for a run: the one that registered last. Durable, so that one that stood
// still or was cut off is refused when it comes back, by a later scheduler too.
struct LearnerFence {
  static constexpr size_t kMaxName = 256;  // bytes, of a place too

  uint64_t epoch = 0;        // of the newest learner; 0: none has registered
  std::string learner = {};  // its name, unique to its process
  std::string place = {};    // what it holds for itself alone; empty: nothing

  // The fence behind which this learner is the newest: another epoch, or the same where it is the
  // newest already. INVALID_ARGUMENT for a name that is empty, too long or has control characters.
  absl::StatusOr<LearnerFence> With(const std::string& newest, const std::string& at) const;
  // Whether the newest learner may live on beside one that holds `other`.
  bool IsElsewhere(const std::string& other) const {
    return !place.empty() && !other.empty() && place != other;
  }
  // ABORTED, naming the newest learner, for every epoch but its own. A learner without one (0) is
  // older than all that have one.
  absl::Status Check(uint64_t caller) const;
};

// DATA_LOSS where the database holds something else.
absl::StatusOr<LearnerFence> LoadLearnerFence(Store& store);
// Between Begin and Commit of the store.
absl::Status StoreLearnerFence(const LearnerFence& fence, Store& store);

}  // namespace attnrl::scheduler
