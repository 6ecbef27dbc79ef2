// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "common/storage/digest.h"

namespace attnrl::model {

// The digest that names a version (common/pipeline/README.md, "Versions and digests"): SHA-256 over
// all tensors, each as name, NUL, safetensors dtype, NUL, shape joined by commas, NUL, raw bytes.
// The tensors are added in the byte order of their names. Keeps no bytes. No LibTorch.
class WeightsDigest {
 public:
  // `dtype` in the format's words: "F32", "BF16".
  void Add(std::string_view name, std::string_view dtype, std::span<const int64_t> shape,
           std::string_view bytes);
  // 64 lowercase hex digits of what was added. The object starts over after it.
  std::string Hex();

 private:
  storage::Sha256 hash_;
};

}  // namespace attnrl::model
