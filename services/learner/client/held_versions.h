// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "services/learner/versions/version_source.h"

namespace attnrl::learner {

// What a process has fetched of late, or is fetching, for others to fetch from it. Memory: the two
// versions begun last, and older ones while they are sent. Thread-safe.
class HeldVersions final : public VersionSource {
 public:
  // `version` begins to arrive, or is there; in place of what was held of the same.
  void Add(SentVersion version);

  // Waits for a version that hasn't begun: whoever asks was sent here because it is expected.
  absl::StatusOr<SentVersion> Send(const Version& version, absl::Duration patience) override;

 private:
  std::optional<SentVersion> Find(const Version& version) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  std::deque<SentVersion> versions_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attnrl::learner
