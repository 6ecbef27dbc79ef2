// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <vector>

namespace attnrl {

// Bytes of the pages around [begin, begin + bytes) that this process has in memory now: of a mapped
// file those that it has touched, whether or not the system keeps the file's other pages as well.
inline int64_t PresentBytes(const void* begin, int64_t bytes) {
  constexpr uint64_t kPresent = uint64_t{1} << 63;
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto address = reinterpret_cast<uintptr_t>(begin);
  const uintptr_t first = address / page;
  std::vector<uint64_t> entries((address + static_cast<uintptr_t>(bytes) - 1) / page + 1 - first);
  const size_t wanted = entries.size() * sizeof(uint64_t);
  const int pagemap = ::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  const ssize_t got =
      ::pread(pagemap, entries.data(), wanted, static_cast<off_t>(first * sizeof(uint64_t)));
  EXPECT_EQ(got, static_cast<ssize_t>(wanted)) << "of /proc/self/pagemap";
  ::close(pagemap);
  int64_t present = 0;
  for (const uint64_t entry : entries) {
    if ((entry & kPresent) != 0) present += static_cast<int64_t>(page);
  }
  return present;
}

}  // namespace attnrl
