// SPDX-License-Identifier: Apache-2.0
#include "common/device/testing/fake_memory.h"

#include <c10/core/impl/alloc_cpu.h>
#include <c10/util/Exception.h>
#include <sys/mman.h>

#include <cstring>
#include <map>
#include <set>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/device/testing/fake_device.h"

namespace attnrl::device {
namespace {

constexpr int kOpen = PROT_READ | PROT_WRITE;

// Every allocation has pages of its own, which only OpenMemory makes accessible.
class Pages {
 public:
  static Pages& Instance() {
    static Pages& pages = *new Pages;  // tensors may outlive static objects
    return pages;
  }

  void* Map(size_t bytes) {
    absl::MutexLock lock(&mutex_);
    TORCH_CHECK_WITH(OutOfMemoryError, used_ + static_cast<int64_t>(bytes) <= kFakeDeviceMemory,
                     "the fake device has ", kFakeDeviceMemory - used_, " bytes left, not ", bytes);
    void* const base = mmap(nullptr, bytes, kOpen, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TORCH_CHECK(base != MAP_FAILED, "no memory for the fake device");
    std::memset(base, 0xFF, bytes);  // a NaN in every floating-point type
    Protect(base, bytes, PROT_NONE);
    areas_[base] = {.bytes = bytes, .kept = keeping_ != nullptr};
    if (keeping_ != nullptr) keeping_->push_back(base);
    used_ += static_cast<int64_t>(bytes);
    return base;
  }

  void Unmap(void* base) {
    absl::MutexLock lock(&mutex_);
    const auto found = areas_.find(base);
    TORCH_CHECK(found != areas_.end(), "memory that the fake device doesn't know is freed");
    if (found->second.kept) {
      found->second.freed = true;
      return;
    }
    used_ -= static_cast<int64_t>(found->second.bytes);
    munmap(base, found->second.bytes);
    areas_.erase(found);
  }

  void KeepFor(std::vector<void*>* keeping) {
    absl::MutexLock lock(&mutex_);
    keeping_ = keeping;
  }
  void LetGo(void* base) {
    {
      absl::MutexLock lock(&mutex_);
      Area& area = areas_.at(base);
      area.kept = false;
      if (!area.freed) return;
    }
    Unmap(base);
  }

  // `change` is 1 or -1.
  void Open(const void* base, int change) {
    absl::MutexLock lock(&mutex_);
    const auto found = areas_.find(base);
    TORCH_CHECK(found != areas_.end(), "not memory of the fake device");
    Reopen(const_cast<void*>(base), &found->second, change);
  }
  void OpenAll(int change) {
    absl::MutexLock lock(&mutex_);
    for (auto& [base, area] : areas_) Reopen(const_cast<void*>(base), &area, change);
  }

  int64_t used() {
    absl::MutexLock lock(&mutex_);
    return used_;
  }

 private:
  struct Area {
    size_t bytes = 0;
    int open = 0;
    bool kept = false;   // of a graph
    bool freed = false;  // while it was kept
  };

  static void Reopen(void* base, Area* area, int change) {
    area->open += change;
    Protect(base, area->bytes, area->open > 0 ? kOpen : PROT_NONE);
  }
  static void Protect(void* base, size_t bytes, int protection) {
    TORCH_CHECK(mprotect(base, bytes, protection) == 0, "mprotect failed");
  }

  absl::Mutex mutex_;
  std::map<const void*, Area> areas_ ABSL_GUARDED_BY(mutex_);
  int64_t used_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<void*>* keeping_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

void Free(void* base) {
  if (base != nullptr) Pages::Instance().Unmap(base);
}

class HeapAllocator final : public c10::DeviceAllocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    void* const base = bytes > 0 ? Pages::Instance().Map(bytes) : nullptr;
    return {base, base, &Free, FakeDevice()};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &Free; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    const OpenMemory source(from);
    const OpenMemory target(to);
    std::memcpy(to, from, bytes);
  }
  std::pair<size_t, size_t> getMemoryInfo(c10::DeviceIndex) override {
    return {static_cast<size_t>(kFakeDeviceMemory - Pages::Instance().used()),
            static_cast<size_t>(kFakeDeviceMemory)};
  }
  bool initialized() override { return true; }
  void emptyCache(c10::MempoolId_t) override {}
  void recordStream(const c10::DataPtr&, c10::Stream) override {}
  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex) override { return {}; }
  void resetAccumulatedStats(c10::DeviceIndex) override {}
  void resetPeakStats(c10::DeviceIndex) override {}
};

// Memory of the heap whose addresses are known.
struct Pinned {
  absl::Mutex mutex;
  std::set<const void*> bases ABSL_GUARDED_BY(mutex);
};

Pinned& ThePinned() {
  static Pinned& pinned = *new Pinned;  // tensors may outlive static objects
  return pinned;
}

void FreePinned(void* base) {
  {
    absl::MutexLock lock(&ThePinned().mutex);
    ThePinned().bases.erase(base);
  }
  c10::free_cpu(base);
}

class PinnedAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    void* const base = c10::alloc_cpu(bytes);
    absl::MutexLock lock(&ThePinned().mutex);
    if (base != nullptr) ThePinned().bases.insert(base);
    return {base, base, &FreePinned, at::Device(at::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &FreePinned; }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    std::memcpy(to, from, bytes);
  }
};

}  // namespace

c10::Allocator& FakePinnedAllocator() {
  static PinnedAllocator& allocator = *new PinnedAllocator;
  return allocator;
}

bool IsFakePinned(const void* base) {
  absl::MutexLock lock(&ThePinned().mutex);
  return ThePinned().bases.contains(base);
}

c10::DeviceAllocator& FakeAllocator() {
  static HeapAllocator& allocator = *new HeapAllocator;
  return allocator;
}

OpenMemory::OpenMemory(const void* base) : base_(base) {
  if (base_ != nullptr) Pages::Instance().Open(base_, 1);
}

OpenMemory::~OpenMemory() {
  if (base_ != nullptr) Pages::Instance().Open(base_, -1);
}

OpenAllMemory::OpenAllMemory() {
  TORCH_CHECK(FakeDeviceIsCurrent(), "a kernel was launched on another device than its memory's");
  Pages::Instance().OpenAll(1);
}
OpenAllMemory::~OpenAllMemory() { Pages::Instance().OpenAll(-1); }

KeptMemory::KeptMemory() { Pages::Instance().KeepFor(&bases_); }
void KeptMemory::Close() { Pages::Instance().KeepFor(nullptr); }
KeptMemory::~KeptMemory() {
  for (void* base : bases_) Pages::Instance().LetGo(base);
}

int64_t FakeDeviceBytes() { return Pages::Instance().used(); }

}  // namespace attnrl::device
