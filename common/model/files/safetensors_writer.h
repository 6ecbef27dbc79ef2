// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/storage/digest.h"
#include "common/storage/file_writer.h"

namespace attnrl::model {

// Writes one safetensors file tensor by tensor; it appears complete by rename. Memory: a tensor.
class SafetensorsWriter {
 public:
  struct Entry {
    at::ScalarType dtype;
    std::vector<int64_t> shape;
  };

  // What such a file begins with: all that comes before the tensors' bytes.
  static absl::StatusOr<std::string> Header(const std::map<std::string, Entry>& layout,
                                            const std::map<std::string, std::string>& metadata);

  // `layout`: what will be added, by name. `digest` (may be null) sees every byte of the file and
  // outlives this. InvalidArgument for a dtype that the format doesn't have; the codes of
  // common/storage/files.h.
  static absl::StatusOr<SafetensorsWriter> Create(
      const std::string& path, const std::map<std::string, Entry>& layout,
      const std::map<std::string, std::string>& metadata, storage::Sha256* digest);

  // The next tensor in byte order of the names, on any device.
  absl::Status Add(const std::string& name, const at::Tensor& tensor);
  // The same as the bytes that the file has for it.
  absl::Status AddBytes(const std::string& name, std::string_view bytes);
  // After all.
  absl::Status Finish();

 private:
  SafetensorsWriter(storage::FileWriter file, storage::Sha256* digest)
      : file_(std::move(file)), digest_(digest) {}

  absl::Status Append(std::string_view bytes);

  storage::FileWriter file_;
  storage::Sha256* digest_;
  std::deque<std::string> missing_;  // names
};

}  // namespace attnrl::model
