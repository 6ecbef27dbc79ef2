// SPDX-License-Identifier: Apache-2.0
#include "services/learner/client/version_receiver.h"

#include <map>
#include <span>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/learner/client/chunk_verifier.h"

namespace attnrl::learner {
void VersionReceiver::GiveUp() {
  if (growing_ != nullptr) std::exchange(growing_, nullptr)->End();
}

absl::Status VersionReceiver::CheckWanted(const Version& received) const {
  if (received.number == wanted_.number &&
      (wanted_.digest.empty() || received.digest == wanted_.digest)) {
    return absl::OkStatus();
  }
  return absl::DataLossError(absl::StrCat("W(", wanted_.number, ") ", wanted_.digest,
                                          ": received W(", received.number, ") ", received.digest));
}

absl::Status VersionReceiver::Manifest(VersionData manifest, uint64_t total_bytes) {
  ATTNRL_RETURN_IF_ERROR(CheckWanted(manifest.version));
  ATTNRL_RETURN_IF_ERROR(Place(&manifest, total_bytes, max_bytes_));
  if (growing_ != nullptr) {
    const VersionData& before = *growing_->data();
    if (manifest.version == before.version && manifest.chunk_bytes == before.chunk_bytes &&
        manifest.chunk_digests == before.chunk_digests && total_bytes == growing_->total()) {
      return absl::OkStatus();
    }
    GiveUp();
    return absl::DataLossError(
        absl::StrCat("W(", wanted_.number, "): changed while it was being sent"));
  }
  ATTNRL_ASSIGN_OR_RETURN(VersionRoom room, room_(total_bytes));
  manifest.bytes = std::move(room.bytes);
  growing_ = GrowingVersion::Begin(std::move(manifest));
  if (begun_) begun_(GrowingVersion::Reader(growing_));
  if (room.begun) TakeFromRoom();
  TakeFromBase();
  return absl::OkStatus();
}

absl::StatusOr<VersionRoom> VersionReceiver::OwnRoom(uint64_t total) {
  ATTNRL_ASSIGN_OR_RETURN(WeightBytes bytes, WeightBytes::Room(total));
  return VersionRoom{.bytes = std::move(bytes)};
}

void VersionReceiver::TakeFromRoom() {
  ChunkVerifier verifier(growing_);
  for (size_t chunk = 0; chunk < growing_->data()->chunks(); ++chunk) verifier.Add(chunk);
  (void)verifier.Settle();  // what is wrong is fetched
}

void VersionReceiver::TakeFromBase() {
  if (base_ == nullptr) return;
  ChunkVerifier verifier(growing_);
  std::map<std::string_view, size_t> known;
  for (size_t chunk = 0; chunk < base_->chunks(); ++chunk) {
    known.emplace(base_->ChunkDigest(chunk), chunk);
  }
  for (size_t chunk = 0; chunk < growing_->data()->chunks(); ++chunk) {
    const auto found = known.find(ChunkDigest(chunk));
    if (found == known.end() || growing_->IsReady(chunk)) continue;
    const std::string_view bytes = base_->Chunk(found->second);
    const std::span<char> room = growing_->Room(chunk);
    if (bytes.size() != room.size()) continue;
    bytes.copy(room.data(), room.size());
    verifier.Add(chunk);
  }
  (void)verifier.Settle();  // what has changed in memory since is fetched
}

std::vector<size_t> VersionReceiver::Missing() const {
  std::vector<size_t> missing;
  for (size_t chunk = 0; chunk < growing_->data()->chunks(); ++chunk) {
    if (!growing_->IsReady(chunk)) missing.push_back(chunk);
  }
  return missing;
}

size_t VersionReceiver::ready() const { return growing_ == nullptr ? 0 : growing_->ready(); }

std::shared_ptr<const VersionData> VersionReceiver::Take() {
  return std::exchange(growing_, nullptr)->data();
}

}  // namespace attnrl::learner
