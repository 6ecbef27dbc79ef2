// SPDX-License-Identifier: Apache-2.0
#include "services/learner/versions/version_data.h"

#include <future>

#include "common/model/files/weights_digest.h"

namespace attnrl::learner {

std::string VersionDigest(const VersionData& data) {
  model::WeightsDigest digest;
  for (const TensorEntry& tensor : data.tensors) {
    digest.Add(tensor.name, tensor.dtype, tensor.shape, data.Bytes(tensor));
  }
  return digest.Hex();
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
