// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "services/learner/versions/version_data.h"
#include "services/learner/versions/version_source.h"

namespace attnrl::learner {

// A version whose bytes arrive one after the other while others read them already. One thread
// writes; any number read through SentVersions. Memory: as much of the version as is there.
class GrowingVersion {
 public:
  // `manifest` has no bytes yet; `total` will come.
  GrowingVersion(VersionData manifest, uint64_t total);

  const Version& version() const { return data_->version; }
  uint64_t total() const { return total_; }

  // The writer.
  uint64_t size() const { return data_->bytes.size(); }
  void Append(std::string_view bytes);
  // No more comes. `whole`: all of it is there and right; otherwise readers are told so.
  void End(bool whole);
  const std::shared_ptr<VersionData>& data() const { return data_; }

  // A reader that waits for at most `patience` at a time. Keeps `self` alive.
  static SentVersion Reader(std::shared_ptr<GrowingVersion> self, absl::Duration patience);

 private:
  absl::Status WaitFor(uint64_t end, absl::Duration patience) const;

  const uint64_t total_;
  const std::shared_ptr<VersionData> data_;
  const char* const bytes_;  // data_'s, which never move

  mutable absl::Mutex mutex_;
  uint64_t available_ ABSL_GUARDED_BY(mutex_) = 0;
  bool failed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace attnrl::learner
