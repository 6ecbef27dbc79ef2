// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/learner/versions/version_data.h"

namespace attnrl::learner {

// A version that may be sent to others, though it may still be arriving itself.
struct SentVersion {
  // What it consists of. Of its bytes only the chunks that `wait` has said are there.
  std::shared_ptr<const VersionData> data;
  // Blocks until a chunk is there, at most for so long. ABORTED: others came meanwhile, so this one
  // will. UNAVAILABLE: none came, or none will. Empty: all are there.
  std::function<absl::Status(size_t, absl::Duration)> wait = nullptr;

  absl::Status WaitFor(size_t chunk, absl::Duration patience) const {
    return wait ? wait(chunk, patience) : absl::OkStatus();
  }
};

// Where versions that are sent to others come from. Thread-safe.
class VersionSource {
 public:
  virtual ~VersionSource() = default;
  // An empty digest: whatever has that number. `patience`: how long one that is expected here may
  // take to begin. NOT_FOUND: it isn't kept here. DATA_LOSS: it is damaged here.
  virtual absl::StatusOr<SentVersion> Send(const Version& version, absl::Duration patience) = 0;
};

}  // namespace attnrl::learner
