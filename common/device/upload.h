// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace attnrl::device {

// Numbers on their way to a device, all in one copy: a copy costs the same latency whether it
// carries one number or ten thousand.
//
//   Upload upload;
//   const Upload::Part ids = upload.Add(rows);
//   int64_t* next = upload.At(ids);
//   ...
//   upload.Send(device);
//   at::Tensor tensor = upload.Integers(ids);
//
// From pinned memory where the device is a GPU, without waiting for it. Keeps its memory from one
// use to the next. One thread.
class Upload {
 public:
  // A list among the others.
  struct Part {
    int64_t first = 0;
    int64_t count = 0;
  };

  // Forgets all lists. Tensors made before stay as they are.
  void Clear();
  // A list of `count` zeros, to be written before Send: integers At the pointer, which is valid
  // until the next Add, doubles by Set.
  Part Add(int64_t count);
  int64_t* At(Part part) { return numbers_.data() + part.first; }
  void Set(Part part, int64_t index, double value);

  // Brings the lists to the device, once for all. Throws c10::Error as LibTorch does.
  void Send(at::Device device);
  // The same to memory of the device that is there, int64 with room for numbers().
  void SendTo(const at::Tensor& place);
  int64_t numbers() const { return static_cast<int64_t>(numbers_.size()); }
  // After Send: a list on the device, int64 or float64 [count]; all are views of one tensor.
  at::Tensor Integers(Part part) const;
  at::Tensor Doubles(Part part) const;

 private:
  at::Tensor ToHostTensor(at::Device device) const;

  std::vector<int64_t> numbers_;
  at::Tensor sent_;
};

// Adds an array of 32-bit numbers, or of structs, to an upload, whose numbers have 64 bits: at
// least `size` of them, those beyond `values` as `filler`.
template <typename T>
Upload::Part AddArray(const std::vector<T>& values, Upload& upload, int64_t size = 0,
                      const T& filler = {}) {
  const size_t count = std::max(values.size(), static_cast<size_t>(size));
  const size_t numbers = (count * sizeof(T) + sizeof(int64_t) - 1) / sizeof(int64_t);
  const Upload::Part part = upload.Add(static_cast<int64_t>(numbers));
  if (count == 0) return part;
  auto* const to = reinterpret_cast<char*>(upload.At(part));
  if (!values.empty()) std::memcpy(to, values.data(), values.size() * sizeof(T));
  for (size_t i = values.size(); i < count; ++i)
    std::memcpy(to + i * sizeof(T), &filler, sizeof(T));
  return part;
}

}  // namespace attnrl::device
