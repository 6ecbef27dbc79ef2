// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "services/learner/versions/growing_version.h"
#include "services/learner/versions/version_source.h"

namespace attnrl::learner {

// What a process has fetched of late, or is fetching, for others to fetch from it. Memory: the two
// versions begun last, and older ones while they are sent. Thread-safe.
class HeldVersions final : public VersionSource {
 public:
  // `patience`: how long a caller waits for a version to begin, and for its next bytes.
  explicit HeldVersions(absl::Duration patience = absl::Seconds(10)) : patience_(patience) {}

  // `version` begins to arrive, or is there; in place of what was held of the same.
  void Add(std::shared_ptr<GrowingVersion> version);

  // Waits for a version that hasn't begun: whoever asks was sent here because it is expected.
  absl::StatusOr<SentVersion> Send(const Version& version) override;

 private:
  std::shared_ptr<GrowingVersion> Find(const Version& version) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  const absl::Duration patience_;
  mutable absl::Mutex mutex_;
  std::deque<std::shared_ptr<GrowingVersion>> versions_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attnrl::learner
