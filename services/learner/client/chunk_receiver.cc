// SPDX-License-Identifier: Apache-2.0
#include "services/learner/client/chunk_receiver.h"

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/storage/digest.h"
#include "services/learner/versions/difference.h"

namespace attnrl::learner {

absl::Status ChunkReceiver::Filled(size_t chunk, uint32_t crc32c) {
  const std::span<const char> bytes = Room(chunk);
  if (storage::Crc32c({bytes.data(), bytes.size()}) != crc32c) {
    return absl::DataLossError(
        absl::StrCat("W(", growing_->version().number, "): wrong checksum of chunk ", chunk));
  }
  ++filled_;
  verifier_.Add(chunk);
  return verifier_.wrong() ? Settle() : absl::OkStatus();
}

absl::Status ChunkReceiver::Difference(size_t chunk, uint64_t offset, std::string_view difference,
                                       uint32_t crc32c) {
  const std::string name = absl::StrCat("W(", growing_->version().number, ")");
  const std::span<char> room = Room(chunk);
  if (base_ == nullptr || base_->bytes.size() != growing_->total() ||
      offset > base_->bytes.size() - room.size()) {
    return absl::DataLossError(
        absl::StrCat(name, ": received a difference to a version that isn't here"));
  }
  const absl::Status applied =
      ApplyDifference(base_->bytes.view().substr(offset, room.size()), difference, room);
  if (!applied.ok()) {
    return absl::DataLossError(
        absl::StrCat(name, ": received for chunk ", chunk, " ", std::string(applied.message())));
  }
  return Filled(chunk, crc32c);
}

absl::Status ChunkReceiver::Settle() {
  const std::optional<size_t> wrong = verifier_.Settle();
  if (!wrong) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("W(", growing_->version().number,
                                          "): received other bytes than those of chunk ", *wrong));
}

}  // namespace attnrl::learner
