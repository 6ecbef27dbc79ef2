// SPDX-License-Identifier: Apache-2.0
#include "services/learner/client/version_receiver.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/storage/digest.h"
#include "services/learner/versions/difference.h"

namespace attnrl::learner {

VersionReceiver::~VersionReceiver() {
  if (growing_ != nullptr) growing_->End(/*whole=*/false);
}

absl::Status VersionReceiver::Manifest(VersionData manifest, uint64_t total_bytes) {
  const std::string name = absl::StrCat("W(", wanted_.number, ")");
  uint64_t total = 0;
  for (TensorEntry& tensor : manifest.tensors) {
    tensor.offset = total;
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
  if (manifest.version.number != wanted_.number ||
      (!wanted_.digest.empty() && manifest.version.digest != wanted_.digest)) {
    return absl::DataLossError(absl::StrCat(name, " ", wanted_.digest, ": received W(",
                                            manifest.version.number, ") ",
                                            manifest.version.digest));
  }
  if (growing_ == nullptr) {
    growing_ = std::make_shared<GrowingVersion>(std::move(manifest), total);
    if (begun_) begun_(growing_);
    return absl::OkStatus();
  }
  if (manifest.version == growing_->version() && total == growing_->total()) {
    return absl::OkStatus();
  }
  std::exchange(growing_, nullptr)->End(/*whole=*/false);
  return absl::DataLossError(absl::StrCat(name, ": changed while it was being sent"));
}

absl::Status VersionReceiver::Chunk(uint64_t offset, std::string_view bytes, uint32_t crc32c) {
  if (growing_ == nullptr || offset != growing_->size() ||
      bytes.size() > growing_->total() - offset) {
    return absl::DataLossError(absl::StrCat("W(", wanted_.number, "): received bytes at ", offset,
                                            ", expected those at ", this->offset()));
  }
  if (storage::Crc32c(bytes) != crc32c) {
    return absl::DataLossError(
        absl::StrCat("W(", wanted_.number, "): wrong checksum of the chunk at ", offset));
  }
  growing_->Append(bytes);
  return absl::OkStatus();
}

absl::Status VersionReceiver::Difference(uint64_t offset, std::string_view difference,
                                         uint32_t crc32c) {
  const std::string name = absl::StrCat("W(", wanted_.number, ")");
  if (base_ == nullptr || growing_ == nullptr || base_->bytes.size() != growing_->total() ||
      offset > growing_->total()) {
    return absl::DataLossError(
        absl::StrCat(name, ": received a difference to a version that isn't here"));
  }
  const std::string_view before = std::string_view(base_->bytes).substr(offset, kChunkBytes);
  const absl::StatusOr<std::string> bytes = ApplyDifference(before, difference);
  if (!bytes.ok()) {
    return absl::DataLossError(
        absl::StrCat(name, ": received at ", offset, " ", std::string(bytes.status().message())));
  }
  return Chunk(offset, *bytes, crc32c);
}

absl::StatusOr<std::shared_ptr<const VersionData>> VersionReceiver::Take() {
  const std::shared_ptr<GrowingVersion> taken = std::exchange(growing_, nullptr);
  const VersionData& data = *taken->data();
  const std::string digest = VersionDigest(data);
  taken->End(digest == data.version.digest);
  if (digest != data.version.digest) {
    return absl::DataLossError(absl::StrCat("W(", wanted_.number, "): has digest ", digest,
                                            ", should have ", data.version.digest));
  }
  return taken->data();
}

}  // namespace attnrl::learner
