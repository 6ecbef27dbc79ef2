// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace attnrl::model {

// One tensor's entry of a safetensors header.
struct TensorInfo {
  std::string name;
  std::string dtype;  // "F32", "BF16", ...: one of the format's
  std::vector<int64_t> shape;
  uint64_t begin = 0;  // of the data that follows the header
  uint64_t end = 0;

  uint64_t bytes() const { return end - begin; }
};

// The header's length field may say at most this; real ones are some ten kilobytes.
inline constexpr uint64_t kMaxHeaderBytes = uint64_t{16} << 20;
inline constexpr uint64_t kHeaderLengthBytes = 8;

// Checks the length field of a file of `file_bytes` bytes.
absl::Status CheckHeaderLength(const std::string& path, uint64_t header_bytes, uint64_t file_bytes);

// Reads the JSON of a header that is followed by `data_bytes` bytes, and trusts nothing in it:
// UTF-8 without duplicate keys, at most 100,000 tensors of rank 8, sizes whose products don't
// overflow, ranges that cover the data without a hole or overlap. Ascending by `begin`. InputError
// naming path, tensor and what is wrong. Pure: the seam for tests and fuzzing.
absl::StatusOr<std::vector<TensorInfo>> ParseSafetensorsHeader(const std::string& path,
                                                               std::string_view header,
                                                               uint64_t data_bytes);

}  // namespace attnrl::model
