// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/model/files/safetensors_header.h"

namespace attnrl::model {

// An open safetensors file whose header has been checked. The data is read on demand. InputError
// where the file is damaged; the codes of common/storage/files.h where it can't be opened or read.
// Movable; reads are thread-safe. No LibTorch.
class SafetensorsFile {
 public:
  static absl::StatusOr<SafetensorsFile> Open(const std::string& path);
  SafetensorsFile(SafetensorsFile&& other) noexcept;
  ~SafetensorsFile();

  const std::string& path() const { return path_; }
  // Ascending by their place in the file.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  // The raw bytes of one of them, info.bytes() many, to `target`.
  absl::Status ReadInto(const TensorInfo& info, void* target) const;

 private:
  SafetensorsFile(std::string path, int descriptor)
      : path_(std::move(path)), descriptor_(descriptor) {}
  absl::Status ReadHeader();
  absl::Status ReadBytes(uint64_t offset, void* target, uint64_t bytes) const;

  std::string path_;
  int descriptor_ = -1;
  uint64_t data_begin_ = 0;
  std::vector<TensorInfo> tensors_;
};

}  // namespace attnrl::model
