// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/version.h"

namespace attnrl::learner {

// A version travels in pieces of so many bytes; the last may be shorter.
inline constexpr uint64_t kChunkBytes = 1 << 20;

// One tensor of a version: where its raw little-endian bytes lie in VersionData::bytes.
struct TensorEntry {
  std::string name;
  std::string dtype;  // safetensors' word: "F32" or "BF16"
  std::vector<int64_t> shape;
  uint64_t offset = 0;
  uint64_t size = 0;  // bytes
};

// All weights of one version, in byte order of the tensors' names, as one buffer.
struct VersionData {
  Version version;
  std::vector<TensorEntry> tensors;
  std::string bytes;

  std::string_view Bytes(const TensorEntry& tensor) const {
    return std::string_view(bytes).substr(tensor.offset, tensor.size);
  }
};

// The digest of a version, as model::WeightsDigest defines it.
std::string VersionDigest(const VersionData& data);

}  // namespace attnrl::learner
