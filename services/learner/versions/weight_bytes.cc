// SPDX-License-Identifier: Apache-2.0
#include "services/learner/versions/weight_bytes.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/storage/file_error.h"

namespace attnrl::learner {

WeightBytes::WeightBytes(void* memory, size_t size)
    : memory_(static_cast<char*>(memory), [size](char* at) { ::munmap(at, size); }), size_(size) {}

absl::StatusOr<WeightBytes> WeightBytes::Room(size_t size) {
  if (size == 0) return WeightBytes();
  void* const memory =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no memory for ", size, " bytes of weights: ", std::strerror(errno)));
  }
  // Large pages, where there are some: filling gigabytes page by page takes as long as sending
  // them.
  (void)::madvise(memory, size, MADV_HUGEPAGE);
  return WeightBytes(memory, size);
}

absl::StatusOr<WeightBytes> WeightBytes::Map(int descriptor, const std::string& path, size_t size,
                                             int protection) {
  if (size == 0) return WeightBytes();
  void* const memory = ::mmap(nullptr, size, protection, MAP_SHARED, descriptor, 0);
  if (memory == MAP_FAILED) return storage::FileError(path, "mapping", errno);
  return WeightBytes(memory, size);
}

absl::StatusOr<WeightBytes> WeightBytes::Map(int descriptor, const std::string& path, size_t size) {
  return Map(descriptor, path, size, PROT_READ);
}

absl::StatusOr<WeightBytes> WeightBytes::MapRoom(int descriptor, const std::string& path,
                                                 size_t size) {
  return Map(descriptor, path, size, PROT_READ | PROT_WRITE);
}

WeightBytes::WeightBytes(std::string_view bytes) : WeightBytes(Room(bytes.size()).value()) {
  bytes.copy(room(), bytes.size());
}

}  // namespace attnrl::learner
