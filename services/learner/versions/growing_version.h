// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "services/learner/versions/version_data.h"
#include "services/learner/versions/version_source.h"

namespace attnrl::learner {

// A version whose chunks arrive, in any order, while others read those that are there already. One
// thread writes a chunk and one, the same or another, says that it is right; any number read
// through SentVersions. Memory: `data`'s.
class GrowingVersion {
 public:
  // The bytes of `data` are room for those that its chunk digests name.
  static std::shared_ptr<GrowingVersion> Begin(VersionData data);

  const Version& version() const { return data_->version; }
  uint64_t total() const { return data_->bytes.size(); }
  const std::shared_ptr<const VersionData>& data() const { return data_; }

  // Where the bytes of a chunk belong; to be written until it is ready.
  std::span<char> Room(size_t chunk);
  // The chunk's bytes are there and right.
  void SetReady(size_t chunk);
  bool IsReady(size_t chunk) const;
  // How many are.
  size_t ready() const;
  // No more chunks come.
  void End();

  // For those who read it meanwhile. Keeps `self` alive.
  static SentVersion Reader(std::shared_ptr<GrowingVersion> self);

 private:
  GrowingVersion(std::shared_ptr<const VersionData> data, char* room);

  absl::Status WaitFor(size_t chunk, absl::Duration patience) const;

  const std::shared_ptr<const VersionData> data_;
  char* const room_;

  mutable absl::Mutex mutex_;
  std::vector<bool> is_ready_ ABSL_GUARDED_BY(mutex_);
  size_t ready_ ABSL_GUARDED_BY(mutex_) = 0;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace attnrl::learner
