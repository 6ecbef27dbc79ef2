// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <c10/core/CachingDeviceAllocator.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace attnrl::device {

// For tests only: the memory behind FakeDevice(). Any thread.

// Bytes that the fake device says it has; more can't be allocated.
inline constexpr int64_t kFakeDeviceMemory = int64_t{1} << 30;

c10::DeviceAllocator& FakeAllocator();

// While this lives, what goes between the sides in this thread counts for nothing: it is the device
// that computes.
class Uncounted {
 public:
  Uncounted();
  ~Uncounted();
  Uncounted(const Uncounted&) = delete;
  Uncounted& operator=(const Uncounted&) = delete;
};

// Pinned memory of the host, and whether `base` is where some of it begins.
c10::Allocator& FakePinnedAllocator();
bool IsFakePinned(const void* base);

// Whether the fake device, the second of two, is the thread's current one.
bool FakeDeviceIsCurrent();

// The device computes an operation.
void CountOperation();

// While this lives the host may touch an allocation of the fake device, which begins at `base`
// (null: none). May be nested.
class OpenMemory {
 public:
  explicit OpenMemory(const void* base);
  ~OpenMemory();
  OpenMemory(const OpenMemory&) = delete;
  OpenMemory& operator=(const OpenMemory&) = delete;

 private:
  const void* const base_;
};

// The same for all allocations that there are: for a kernel that reads and writes through pointers.
// Such a one runs on the thread's current device; throws where that isn't the fake one.
class OpenAllMemory {
 public:
  OpenAllMemory();
  ~OpenAllMemory();
  OpenAllMemory(const OpenAllMemory&) = delete;
  OpenAllMemory& operator=(const OpenAllMemory&) = delete;
};

// From when it is made until Close, new memory is its own: it stays there until this goes, even if
// it is freed before, as a graph's. One at a time between the two.
class KeptMemory {
 public:
  KeptMemory();
  ~KeptMemory();
  KeptMemory(const KeptMemory&) = delete;
  KeptMemory& operator=(const KeptMemory&) = delete;
  void Close();

 private:
  std::vector<void*> bases_;
};

}  // namespace attnrl::device
