// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "common/device/upload.h"

namespace attnrl::attention {

// Adds an array of 32-bit numbers, or of structs, to an upload, whose numbers have 64 bits: at
// least `size` of them, those beyond `values` as `filler`.
template <typename T>
device::Upload::Part AddArray(const std::vector<T>& values, device::Upload& upload,
                              int64_t size = 0, const T& filler = {}) {
  const size_t count = std::max(values.size(), static_cast<size_t>(size));
  const size_t numbers = (count * sizeof(T) + sizeof(int64_t) - 1) / sizeof(int64_t);
  const device::Upload::Part part = upload.Add(static_cast<int64_t>(numbers));
  if (count == 0) return part;
  auto* const to = reinterpret_cast<char*>(upload.At(part));
  if (!values.empty()) std::memcpy(to, values.data(), values.size() * sizeof(T));
  for (size_t i = values.size(); i < count; ++i)
    std::memcpy(to + i * sizeof(T), &filler, sizeof(T));
  return part;
}

}  // namespace attnrl::attention
