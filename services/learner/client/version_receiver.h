// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/learner/client/chunk_receiver.h"
#include "services/learner/versions/growing_version.h"
#include "services/learner/versions/version_data.h"

namespace attnrl::learner {

// Room for the bytes of a version.
struct VersionRoom {
  WeightBytes bytes;
  bool begun = false;  // some may be there already: each chunk is looked at
};

// Puts a version together from chunks of one or several WeightStore.Fetch streams, and lets nothing
// through that is damaged (ChunkReceiver). What the version before has, too, is taken from there.
// One thread. Memory: the version, unless its room is elsewhere.
class VersionReceiver {
 public:
  // `wanted`'s digest may be empty. Larger versions than `max_bytes` are refused.
  // `base`: where chunks may be taken from; may be null. Outlives this. `begun` (may be empty) is
  // told of what arrives as soon as it begins to, and again where it begins anew. `room` gives room
  // for so many bytes.
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

  // Those that are missing.
  std::vector<size_t> Missing() const;
  std::string_view ChunkDigest(size_t chunk) const { return growing_->data()->ChunkDigest(chunk); }
  // Takes what one source sends; differences refer to `base`, which may be null. Any thread.
  ChunkReceiver FromSource(const VersionData* base) const { return {growing_, base}; }
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
};

}  // namespace attnrl::learner
