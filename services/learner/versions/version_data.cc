// SPDX-License-Identifier: Apache-2.0
#include "services/learner/versions/version_data.h"

#include <future>

#include "absl/strings/str_cat.h"
#include "common/model/files/weights_digest.h"

namespace attnrl::learner {

std::string VersionDigest(const VersionData& data) {
  model::WeightsDigest digest;
  for (const TensorEntry& tensor : data.tensors) {
    digest.Add(tensor.name, tensor.dtype, tensor.shape, data.Bytes(tensor));
  }
  return digest.Hex();
}

absl::Status Place(VersionData* manifest, uint64_t total, uint64_t most) {
  const std::string name = absl::StrCat("W(", manifest->version.number, ")");
  uint64_t sum = 0;
  for (TensorEntry& tensor : manifest->tensors) {
    if (tensor.size > most - sum) {
      return absl::ResourceExhaustedError(
          absl::StrCat(name, ": larger than the limit of ", most, " bytes"));
    }
    tensor.offset = sum;
    sum += tensor.size;
  }
  if (sum != total) {
    return absl::DataLossError(absl::StrCat(name, ": manifest names ", sum, " bytes, not ", total));
  }
  const uint64_t each = manifest->chunk_bytes;
  if (each == 0 || each > kMaxChunkBytes ||
      manifest->chunk_digests.size() !=
          (total / each + (total % each != 0 ? 1 : 0)) * storage::kSha256Bytes) {
    return absl::DataLossError(absl::StrCat(name, ": manifest doesn't name every chunk of ", each,
                                            " bytes, of at most ", kMaxChunkBytes));
  }
  return absl::OkStatus();
}

std::string ChunkDigests(std::string_view bytes, uint64_t chunk_bytes) {
  storage::Sha256 hash;
  std::string digests;
  for (uint64_t at = 0; at < bytes.size(); at += chunk_bytes) {
    hash.Update(bytes.substr(at, chunk_bytes));
    digests += hash.Digest();
  }
  return digests;
}

void Seal(VersionData* data) {
  std::future<std::string> chunks = std::async(
      std::launch::async, [data] { return ChunkDigests(data->bytes.view(), data->chunk_bytes); });
  data->version.digest = VersionDigest(*data);
  data->chunk_digests = chunks.get();
}

}  // namespace attnrl::learner
