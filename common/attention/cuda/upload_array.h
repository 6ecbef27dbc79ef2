// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "common/device/upload.h"

namespace attnrl::attention {

// Adds an array of 32-bit numbers, or of structs, to an upload, whose numbers have 64 bits.
template <typename T>
device::Upload::Part AddArray(const std::vector<T>& values, device::Upload& upload) {
  const size_t bytes = values.size() * sizeof(T);
  const device::Upload::Part part =
      upload.Add(static_cast<int64_t>((bytes + sizeof(int64_t) - 1) / sizeof(int64_t)));
  if (bytes > 0) std::memcpy(upload.At(part), values.data(), bytes);
  return part;
}

}  // namespace attnrl::attention
