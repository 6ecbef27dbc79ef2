// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace attnrl::learner {

// The bytes of a version: memory that never moves, is never cleared in advance, and goes when the
// last copy of this does. Copies share it, and whoever made it fills it before others read.
class WeightBytes {
 public:
  WeightBytes() = default;
  // A copy of `bytes`. Throws where Room has an error.
  explicit WeightBytes(std::string_view bytes);
  // Room for so many bytes, zeros until they are written; the system gives memory as it is filled.
  // RESOURCE_EXHAUSTED where it refuses so much.
  static absl::StatusOr<WeightBytes> Room(size_t size);
  // The first so many bytes of an open file, which `path` names in errors, as they are there:
  // nothing is read before it is looked at, and all processes share one copy. Not to be written.
  // The codes of storage/files.h where the system doesn't map it.
  static absl::StatusOr<WeightBytes> Map(int descriptor, const std::string& path, size_t size);
  // The same, to be written: what is there is the file's at once, and stays when the process is
  // killed. The file has so many bytes on its disk already; a write beyond them ends the process.
  static absl::StatusOr<WeightBytes> MapRoom(int descriptor, const std::string& path, size_t size);

  const char* data() const { return memory_.get(); }
  char* room() { return memory_.get(); }
  size_t size() const { return size_; }
  std::string_view view() const { return {data(), size_}; }

 private:
  static absl::StatusOr<WeightBytes> Map(int descriptor, const std::string& path, size_t size,
                                         int protection);
  // What was mapped, so many bytes.
  WeightBytes(void* memory, size_t size);

  std::shared_ptr<char> memory_;
  size_t size_ = 0;
};

}  // namespace attnrl::learner
