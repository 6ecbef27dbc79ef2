// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/learner/versions/version_data.h"

namespace attnrl::learner {

// A version that may be sent to others, though it may still be arriving itself.
struct SentVersion {
  // What it consists of. Of its bytes only the chunks that `wait` has said are there.
  std::shared_ptr<const VersionData> data;
  // Blocks until a chunk is there. UNAVAILABLE: it won't be, or not soon. Empty: all are there.
  std::function<absl::Status(size_t)> wait = nullptr;

  absl::Status WaitFor(size_t chunk) const { return wait ? wait(chunk) : absl::OkStatus(); }
  std::string_view Chunk(size_t chunk) const {
    return data->bytes.view().substr(chunk * data->chunk_bytes, data->chunk_bytes);
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
