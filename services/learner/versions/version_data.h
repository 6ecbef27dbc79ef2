// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/base/version.h"
#include "common/storage/digest.h"
#include "services/learner/versions/weight_bytes.h"

namespace attnrl::learner {

// A version travels in chunks of so many bytes; the last may be shorter.
inline constexpr uint64_t kChunkBytes = 1 << 20;
// A chunk is one message, so that none is longer.
inline constexpr uint64_t kMaxChunkBytes = 2 << 20;

// One tensor of a version: where its raw little-endian bytes lie in VersionData::bytes.
struct TensorEntry {
  std::string name;
  std::string dtype;  // safetensors' word: "F32" or "BF16"
  std::vector<int64_t> shape;
  uint64_t offset = 0;
  uint64_t size = 0;  // bytes
};

// All weights of one version, in byte order of the tensors' names, as one buffer. It is cut into
// chunks, whatever the borders of tensors, and each chunk has a name that says whether it is right.
struct VersionData {
  Version version;
  std::vector<TensorEntry> tensors;
  WeightBytes bytes;
  uint64_t chunk_bytes = kChunkBytes;
  std::string chunk_digests;  // SHA-256 of each chunk, storage::kSha256Bytes bytes each

  std::string_view Bytes(const TensorEntry& tensor) const {
    return bytes.view().substr(tensor.offset, tensor.size);
  }
  std::string_view Chunk(size_t chunk) const {
    return bytes.view().substr(chunk * chunk_bytes, chunk_bytes);
  }
  size_t chunks() const { return chunk_digests.size() / storage::kSha256Bytes; }
  std::string_view ChunkDigest(size_t chunk) const {
    return std::string_view(chunk_digests)
        .substr(chunk * storage::kSha256Bytes, storage::kSha256Bytes);
  }
};

// The digest of a version, as model::WeightsDigest defines it.
std::string VersionDigest(const VersionData& data);
// Gives the tensors of a version that has no bytes yet, of `total` bytes, their offsets. DATA_LOSS
// where its tensors have another sum or it doesn't name every chunk; RESOURCE_EXHAUSTED where it
// has more than `most` bytes.
absl::Status Place(VersionData* manifest, uint64_t total, uint64_t most);
// SHA-256 of `bytes` in chunks, one after the other.
std::string ChunkDigests(std::string_view bytes, uint64_t chunk_bytes);

// Names what `data` has: its version's digest, and its chunks'. On two threads, as each takes as
// long as the bytes.
void Seal(VersionData* data);

}  // namespace attnrl::learner
