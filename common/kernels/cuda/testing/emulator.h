// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "common/kernels/cuda/kernel_language.h"

namespace attnrl::cuda {

// For tests only: runs kernels of kernel_language.h on the host, thread by thread. One thread.

// Which thread goes on first when several can, and which block. A kernel that lacks a barrier gives
// other results in another order.
enum class ThreadOrder { kAscending, kDescending, kShuffled };
inline constexpr ThreadOrder kAllOrders[] = {ThreadOrder::kAscending, ThreadOrder::kDescending,
                                             ThreadOrder::kShuffled};

struct Grid {
  int64_t x = 1;
  int64_t y = 1;
};

// A launch that can be made again.
using Launched = std::function<absl::Status()>;

// Runs the blocks one after the other, each with `threads` threads over `shared_bytes` of shared
// memory that begins as NaN. FAILED_PRECONDITION where threads of a block wait for each other at
// different places or for one that has ended, saying which and where; what is written by then is
// garbage. One at a time in a process.
absl::Status EmulateBlocks(const Grid& grid, int threads, size_t shared_bytes, ThreadOrder order,
                           const std::function<void(void* shared)>& run);

// Launches since the process began.
int64_t EmulatedLaunches();

// While `to` isn't null, launches go there and nothing runs, as where a graph is captured.
void RecordLaunches(std::function<void(Launched)> to);

// What `make` gives is held while a kernel runs, from now on: such as a device's memory, open.
void EmulateUnder(std::function<std::shared_ptr<void>()> make);

template <typename Kernel>
absl::Status Emulate(const Grid& grid, const typename Kernel::Arguments& arguments,
                     ThreadOrder order) {
  static_assert(Kernel::kThreads % kWarp == 0);
  return EmulateBlocks(grid, Kernel::kThreads, sizeof(typename Kernel::Shared), order,
                       [arguments](void* shared) {
                         Kernel::Run(arguments, *static_cast<typename Kernel::Shared*>(shared));
                       });
}

}  // namespace attnrl::cuda
