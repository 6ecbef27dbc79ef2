// SPDX-License-Identifier: Apache-2.0
#include "common/kernels/large_pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace attnrl::kernels {

void AskForLargePages(void* start, size_t bytes) {
  constexpr size_t kWorthLargePages = size_t{1} << 22;
  if (bytes < kWorthLargePages) return;
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(start) + page - 1) / page * page;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(start) + bytes) / page * page;
  static_cast<void>(::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE));
}

}  // namespace attnrl::kernels
