// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/model/files/safetensors_header.h"

namespace attnrl::model {

// An open safetensors file whose header has been checked. Tensors are read on demand, each into
// memory of its own. InputError for what is missing or damaged. Movable; reads are thread-safe.
class SafetensorsFile {
 public:
  static absl::StatusOr<SafetensorsFile> Open(const std::string& path);
  SafetensorsFile(SafetensorsFile&& other) noexcept;
  ~SafetensorsFile();

  const std::string& path() const { return path_; }
  // Ascending by their place in the file.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  // On the CPU, in its own dtype: F32, BF16, F64, I64 or U8, others are an InputError.
  absl::StatusOr<at::Tensor> Read(const TensorInfo& info) const;

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

// The format's name of a tensor's dtype, "F32" for float32; empty for what we don't write.
std::string_view SafetensorsDType(const at::Tensor& tensor);

}  // namespace attnrl::model
