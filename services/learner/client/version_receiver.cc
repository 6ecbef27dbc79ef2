// SPDX-License-Identifier: Apache-2.0
#include "services/learner/client/version_receiver.h"

#include <map>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/digest.h"
#include "services/learner/versions/difference.h"

namespace attnrl::learner {
namespace {

// A chunk is one message.
constexpr uint64_t kMaxChunkBytes = 2 << 20;

std::string_view ChunkOf(const VersionData& data, size_t chunk) {
  return data.bytes.view().substr(chunk * data.chunk_bytes, data.chunk_bytes);
}

}  // namespace

void VersionReceiver::GiveUp() {
  verifier_.reset();
  if (growing_ != nullptr) std::exchange(growing_, nullptr)->End();
}

// Its tensors have their offsets.
absl::Status VersionReceiver::Check(const VersionData& manifest, uint64_t total_bytes) const {
  const std::string name = absl::StrCat("W(", wanted_.number, ")");
  uint64_t total = 0;
  for (const TensorEntry& tensor : manifest.tensors) {
    if (tensor.size > max_bytes_ - total) {
      return absl::ResourceExhaustedError(
          absl::StrCat(name, ": larger than the limit of ", max_bytes_, " bytes"));
    }
    total += tensor.size;
  }
  if (total != total_bytes) {
    return absl::DataLossError(
        absl::StrCat(name, ": manifest names ", total, " bytes, not ", total_bytes));
  }
  const uint64_t each = manifest.chunk_bytes;
  if (each == 0 || each > kMaxChunkBytes ||
      manifest.chunk_digests.size() !=
          (total / each + (total % each != 0 ? 1 : 0)) * storage::kSha256Bytes) {
    return absl::DataLossError(absl::StrCat(name, ": manifest doesn't name every chunk of ", each,
                                            " bytes, of at most ", kMaxChunkBytes));
  }
  if (manifest.version.number != wanted_.number ||
      (!wanted_.digest.empty() && manifest.version.digest != wanted_.digest)) {
    return absl::DataLossError(absl::StrCat(name, " ", wanted_.digest, ": received W(",
                                            manifest.version.number, ") ",
                                            manifest.version.digest));
  }
  return absl::OkStatus();
}

absl::Status VersionReceiver::Manifest(VersionData manifest, uint64_t total_bytes) {
  ATTNRL_RETURN_IF_ERROR(Check(manifest, total_bytes));
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
  uint64_t offset = 0;
  for (TensorEntry& tensor : manifest.tensors) {
    tensor.offset = offset;
    offset += tensor.size;
  }
  growing_ = GrowingVersion::Begin(std::move(manifest), total_bytes);
  verifier_ = std::make_unique<ChunkVerifier>(growing_);
  if (begun_) begun_(growing_);
  TakeFromBase();
  return absl::OkStatus();
}

void VersionReceiver::TakeFromBase() {
  if (base_ == nullptr) return;
  std::map<std::string_view, size_t> known;
  for (size_t chunk = 0; chunk < base_->chunks(); ++chunk) {
    known.emplace(base_->ChunkDigest(chunk), chunk);
  }
  for (size_t chunk = 0; chunk < growing_->data()->chunks(); ++chunk) {
    const auto found = known.find(ChunkDigest(chunk));
    if (found == known.end()) continue;
    const std::string_view bytes = ChunkOf(*base_, found->second);
    const std::span<char> room = Room(chunk);
    if (bytes.size() != room.size()) continue;
    bytes.copy(room.data(), room.size());
    verifier_->Add(chunk);
  }
  (void)verifier_->Settle();  // what has changed in memory since is fetched
}

std::vector<size_t> VersionReceiver::Missing(size_t most) const {
  std::vector<size_t> missing;
  for (size_t chunk = 0; chunk < growing_->data()->chunks() && missing.size() < most; ++chunk) {
    if (!growing_->IsReady(chunk)) missing.push_back(chunk);
  }
  return missing;
}

size_t VersionReceiver::ready() const { return growing_ == nullptr ? 0 : growing_->ready(); }

absl::Status VersionReceiver::Filled(size_t chunk, uint32_t crc32c) {
  const std::span<const char> bytes = Room(chunk);
  if (storage::Crc32c({bytes.data(), bytes.size()}) != crc32c) {
    return absl::DataLossError(
        absl::StrCat("W(", wanted_.number, "): wrong checksum of chunk ", chunk));
  }
  verifier_->Add(chunk);
  return verifier_->wrong() ? Settle() : absl::OkStatus();
}

absl::Status VersionReceiver::Difference(size_t chunk, std::string_view difference,
                                         uint32_t crc32c) {
  const std::string name = absl::StrCat("W(", wanted_.number, ")");
  if (base_ == nullptr || base_->bytes.size() != growing_->total() ||
      base_->chunk_bytes != growing_->data()->chunk_bytes) {
    return absl::DataLossError(
        absl::StrCat(name, ": received a difference to a version that isn't here"));
  }
  const absl::Status applied = ApplyDifference(ChunkOf(*base_, chunk), difference, Room(chunk));
  if (!applied.ok()) {
    return absl::DataLossError(
        absl::StrCat(name, ": received for chunk ", chunk, " ", std::string(applied.message())));
  }
  return Filled(chunk, crc32c);
}

absl::Status VersionReceiver::Settle() {
  const std::optional<size_t> wrong = verifier_->Settle();
  if (!wrong) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("W(", wanted_.number, "): received other bytes than those of chunk ", *wrong));
}

std::shared_ptr<const VersionData> VersionReceiver::Take() {
  verifier_.reset();
  return std::exchange(growing_, nullptr)->data();
}

}  // namespace attnrl::learner
