// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "services/learner/client/chunk_verifier.h"
#include "services/learner/versions/growing_version.h"
#include "services/learner/versions/version_data.h"

namespace attnrl::learner {

// What one source sends of an arriving version: every chunk has its checksum, and its name in the
// manifest, against which another thread checks it while the next one comes. One thread; several
// sources, each with its own, may fill one version at the same time, no two of them one chunk.
class ChunkReceiver {
 public:
  // `base`: what differences refer to; may be null. Outlives this.
  ChunkReceiver(std::shared_ptr<GrowingVersion> growing, const VersionData* base)
      : growing_(std::move(growing)), base_(base), verifier_(growing_) {}

  // Where a missing chunk's bytes are to be written.
  std::span<char> Room(size_t chunk) { return growing_->Room(chunk); }
  // They are written. DATA_LOSS on a wrong checksum, or where an earlier chunk was found wrong.
  absl::Status Filled(size_t chunk, uint32_t crc32c);
  // Writes them, as a Difference (versions/difference.h) to those of `base` from `offset` on: of
  // several chunks with the same bytes, the sender has taken the first. The checksum is that of the
  // version's bytes.
  absl::Status Difference(size_t chunk, uint64_t offset, std::string_view difference,
                          uint32_t crc32c);
  // Waits until all that was filled is checked. DATA_LOSS names a chunk that was wrong; it is
  // missing still.
  absl::Status Settle();
  // So many chunks had their checksum.
  size_t filled() const { return filled_; }

 private:
  const std::shared_ptr<GrowingVersion> growing_;
  const VersionData* const base_;
  size_t filled_ = 0;
  ChunkVerifier verifier_;
};

}  // namespace attnrl::learner
