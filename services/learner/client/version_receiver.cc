// SPDX-License-Identifier: Apache-2.0
#include "services/learner/client/version_receiver.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/storage/digest.h"
#include "services/learner/versions/difference.h"

namespace attnrl::learner {

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
  if (has_manifest_ && !(manifest.version == data_.version)) {
    data_ = {};
    has_manifest_ = false;
    return absl::DataLossError(absl::StrCat(name, ": changed while it was being sent"));
  }
  manifest.bytes = std::move(data_.bytes);
  manifest.bytes.reserve(total);
  data_ = std::move(manifest);
  total_ = total;
  has_manifest_ = true;
  return absl::OkStatus();
}

absl::Status VersionReceiver::Chunk(uint64_t offset, std::string_view bytes, uint32_t crc32c) {
  if (!has_manifest_ || offset != data_.bytes.size() || bytes.size() > total_ - offset) {
    return absl::DataLossError(absl::StrCat("W(", wanted_.number, "): received bytes at ", offset,
                                            ", expected those at ", data_.bytes.size()));
  }
  if (storage::Crc32c(bytes) != crc32c) {
    return absl::DataLossError(
        absl::StrCat("W(", wanted_.number, "): wrong checksum of the chunk at ", offset));
  }
  data_.bytes.append(bytes);
  return absl::OkStatus();
}

absl::Status VersionReceiver::Difference(uint64_t offset, std::string_view difference,
                                         uint32_t crc32c) {
  const std::string name = absl::StrCat("W(", wanted_.number, ")");
  if (base_ == nullptr || base_->bytes.size() != total_ || offset > total_) {
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

absl::StatusOr<VersionData> VersionReceiver::Take() {
  VersionData data = std::exchange(data_, {});
  has_manifest_ = false;
  const std::string digest = VersionDigest(data);
  if (digest != data.version.digest) {
    return absl::DataLossError(absl::StrCat("W(", wanted_.number, "): has digest ", digest,
                                            ", should have ", data.version.digest));
  }
  return data;
}

}  // namespace attnrl::learner
