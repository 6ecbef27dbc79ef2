// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/learner/versions/growing_version.h"
#include "services/learner/versions/version_data.h"

namespace attnrl::learner {

// Puts a version together from the pieces of one or several WeightStore.Fetch streams, and lets
// nothing through that is damaged: every chunk has its checksum and its place, the whole its
// digest. A stream that broke goes on at offset(). One thread. Memory: the version.
class VersionReceiver {
 public:
  // `wanted`'s digest may be empty. Larger versions than `max_bytes` are refused.
  // `base`: what differences refer to; null: none are taken. Outlives this. `begun` (may be empty)
  // is told of what arrives as soon as it begins to, and again where it begins anew.
  using Begun = std::function<void(std::shared_ptr<GrowingVersion>)>;
  VersionReceiver(Version wanted, uint64_t max_bytes, const VersionData* base = nullptr,
                  Begun begun = nullptr)
      : wanted_(std::move(wanted)), max_bytes_(max_bytes), base_(base), begun_(std::move(begun)) {}
  ~VersionReceiver();
  VersionReceiver(const VersionReceiver&) = delete;
  VersionReceiver& operator=(const VersionReceiver&) = delete;

  // The first byte that is still missing.
  uint64_t offset() const { return growing_ == nullptr ? 0 : growing_->size(); }

  // The first piece of every stream: `manifest` has no bytes, its tensors no offsets. DATA_LOSS
  // where it isn't consistent, isn't the wanted version, or differs from the stream before.
  absl::Status Manifest(VersionData manifest, uint64_t total_bytes);
  // Bytes from `offset` on. DATA_LOSS on a wrong checksum or place.
  absl::Status Chunk(uint64_t offset, std::string_view bytes, uint32_t crc32c);
  // The same bytes as a Difference (versions/difference.h) to those of `base`; the checksum is that
  // of the version's bytes.
  absl::Status Difference(uint64_t offset, std::string_view difference, uint32_t crc32c);
  // All bytes are here.
  bool complete() const { return growing_ != nullptr && growing_->size() == growing_->total(); }
  // The version, once complete. DATA_LOSS when the whole doesn't have its digest; the receiver is
  // empty again then.
  absl::StatusOr<std::shared_ptr<const VersionData>> Take();

 private:
  const Version wanted_;
  const uint64_t max_bytes_;
  const VersionData* const base_;
  const Begun begun_;
  std::shared_ptr<GrowingVersion> growing_;  // null: no manifest yet
};

}  // namespace attnrl::learner
