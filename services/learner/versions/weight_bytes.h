// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

namespace attnrl::learner {

// The bytes of a version: memory that never moves, is never cleared in advance, and goes when the
// last copy of this does. Copies share it, and whoever made it fills it before others read.
class WeightBytes {
 public:
  WeightBytes() = default;
  // A copy of `bytes`.
  explicit WeightBytes(std::string_view bytes);
  // Room for so many bytes, zeros until they are written; the system gives memory as it is filled.
  // Throws std::bad_alloc.
  static WeightBytes Room(size_t size);
  // The first so many bytes of a file, as they are there: nothing is read before it is looked at,
  // and all processes share one copy. Not to be written. Throws std::bad_alloc.
  static WeightBytes Map(int descriptor, size_t size);

  const char* data() const { return memory_.get(); }
  char* room() { return memory_.get(); }
  size_t size() const { return size_; }
  std::string_view view() const { return {data(), size_}; }

 private:
  static WeightBytes Of(void* memory, size_t size);
  WeightBytes(std::shared_ptr<char> memory, size_t size)
      : memory_(std::move(memory)), size_(size) {}

  std::shared_ptr<char> memory_;
  size_t size_ = 0;
};

}  // namespace attnrl::learner
