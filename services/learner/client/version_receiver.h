// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/learner/client/chunk_verifier.h"
#include "services/learner/versions/growing_version.h"
#include "services/learner/versions/version_data.h"

namespace attnrl::learner {

// Room for the bytes of a version.
struct VersionRoom {
  WeightBytes bytes;
  bool begun = false;  // some may be there already: each chunk is looked at
};

// Puts a version together from chunks of one or several WeightStore.Fetch streams, and lets nothing
// through that is damaged: every chunk has its checksum, and its name in the manifest, against
// which another thread checks it while the next one comes. What the version before has, too, is
// taken from there. One thread. Memory: the version, unless its room is elsewhere.
class VersionReceiver {
 public:
  // `wanted`'s digest may be empty. Larger versions than `max_bytes` are refused.
  // `base`: where chunks may be taken from, and what differences refer to; may be null. Outlives
  // this. `begun` (may be empty) is told of what arrives as soon as it begins to, and again where
  // it begins anew. `room` gives room for so many bytes.
  using Begun = std::function<void(SentVersion)>;
  using MakeRoom = std::function<absl::StatusOr<VersionRoom>(uint64_t)>;
  VersionReceiver(Version wanted, uint64_t max_bytes, const VersionData* base = nullptr,
                  Begun begun = nullptr, MakeRoom room = OwnRoom)
      : wanted_(std::move(wanted)),
        max_bytes_(max_bytes),
        base_(base),
        begun_(std::move(begun)),
        room_(std::move(room)) {}
  ~VersionReceiver() { GiveUp(); }
  VersionReceiver(const VersionReceiver&) = delete;
  VersionReceiver& operator=(const VersionReceiver&) = delete;

  // Memory of this process alone. As WeightBytes::Room.
  static absl::StatusOr<VersionRoom> OwnRoom(uint64_t total);

  // `manifest` has no bytes, its tensors no offsets. The errors of Place and of `room`;
  // DATA_LOSS also where it isn't the wanted version, or differs from the one before.
  absl::Status Manifest(VersionData manifest, uint64_t total_bytes);

  // All below: after a manifest.

  // The first chunks that are missing, at most so many.
  std::vector<size_t> Missing(size_t most) const;
  std::string_view ChunkDigest(size_t chunk) const { return growing_->data()->ChunkDigest(chunk); }
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
  // So many chunks are there and right.
  size_t ready() const;
  bool complete() const { return growing_ != nullptr && ready() == growing_->data()->chunks(); }
  // The version, once complete.
  std::shared_ptr<const VersionData> Take();

 private:
  absl::Status CheckWanted(const Version& received) const;
  // Whatever wrote it may have been killed while it did: what has its SHA-256 is taken, nothing
  // else.
  void TakeFromRoom();
  void TakeFromBase();
  void GiveUp();

  const Version wanted_;
  const uint64_t max_bytes_;
  const VersionData* const base_;
  const Begun begun_;
  const MakeRoom room_;
  std::shared_ptr<GrowingVersion> growing_;  // null: no manifest yet
  std::unique_ptr<ChunkVerifier> verifier_;  // of growing_
};

}  // namespace attnrl::learner
