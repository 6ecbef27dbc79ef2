// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/learner/versions/version_data.h"

namespace attnrl::learner {

// A version that may be sent to others, though it may still be arriving itself.
struct SentVersion {
  // What it consists of; its bytes are only for who finds `wait` empty.
  std::shared_ptr<const VersionData> data;
  const char* bytes = nullptr;  // as long as `data` lives, and as far as `wait` has said
  uint64_t total = 0;
  // Blocks until the first so many bytes are there. UNAVAILABLE: they won't be, or not soon. Empty:
  // all are there.
  std::function<absl::Status(uint64_t)> wait;

  // All of it is there.
  static SentVersion Whole(std::shared_ptr<const VersionData> data) {
    return {
        .data = data, .bytes = data->bytes.data(), .total = data->bytes.size(), .wait = nullptr};
  }
};

// Where versions that are sent to others come from. Thread-safe.
class VersionSource {
 public:
  virtual ~VersionSource() = default;
  // An empty digest: whatever has that number. NOT_FOUND: it isn't kept here. DATA_LOSS: it is
  // damaged here.
  virtual absl::StatusOr<SentVersion> Send(const Version& version) = 0;
};

}  // namespace attnrl::learner
