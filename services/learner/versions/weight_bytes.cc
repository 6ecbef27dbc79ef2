// SPDX-License-Identifier: Apache-2.0
#include "services/learner/versions/weight_bytes.h"

#include <sys/mman.h>

#include <new>

namespace attnrl::learner {

WeightBytes WeightBytes::Of(void* memory, size_t size) {
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return {{static_cast<char*>(memory), [size](char* at) { ::munmap(at, size); }}, size};
}

WeightBytes WeightBytes::Room(size_t size) {
  if (size == 0) return {};
  WeightBytes room =
      Of(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), size);
  // Large pages, where there are some: filling gigabytes page by page takes as long as sending
  // them.
  (void)::madvise(room.room(), size, MADV_HUGEPAGE);
  return room;
}

WeightBytes WeightBytes::Map(int descriptor, size_t size) {
  if (size == 0) return {};
  return Of(::mmap(nullptr, size, PROT_READ, MAP_SHARED, descriptor, 0), size);
}

WeightBytes::WeightBytes(std::string_view bytes) : WeightBytes(Room(bytes.size())) {
  bytes.copy(room(), bytes.size());
}

}  // namespace attnrl::learner
