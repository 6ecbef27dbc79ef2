// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/whole/tensor_memory.h"

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <algorithm>
#include <memory>

namespace attnrl::bench {
namespace {

class Reporter final : public c10::MemoryReportingInfoBase {
 public:
  explicit Reporter(c10::Device device) : device_(device) {}

  void reportMemoryUsage(void* /*ptr*/, int64_t alloc_size, size_t /*total_allocated*/,
                         size_t /*total_reserved*/, c10::Device device) override {
    if (device.type() != device_.type()) return;
    held_ += alloc_size;  // negative where memory is freed
    most_ = std::max(most_, held_);
  }
  bool memoryProfilingEnabled() const override { return true; }

  int64_t most() const { return most_; }

 private:
  const c10::Device device_;
  int64_t held_ = 0;
  int64_t most_ = 0;
};

}  // namespace

int64_t PeakBytesOf(c10::Device device, const std::function<void()>& work) {
  const auto reporter = std::make_shared<Reporter>(device);
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, reporter);
  work();
  return reporter->most();
}

}  // namespace attnrl::bench
