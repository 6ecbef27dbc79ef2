// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "common/device/graph.h"

namespace attnrl::device {

// For tests only: graphs of the fake device. What is recorded, operations and emulated kernels, is
// computed again by every replay, with the arguments that it had: a pointer to memory that has
// moved since is a segmentation fault, and what wasn't renewed shows in the results. Unlike a GPU
// it computes LibTorch's operations once more, while they are recorded.
class FakeGraphRecorder final : public GraphRecorder {
 public:
  std::unique_ptr<Graph> Record(const std::function<void()>& work) override;

  int64_t recorded() const { return recorded_; }
  // Graphs that are there.
  static int64_t alive();
  static int64_t replays();
  // Record throws from now on.
  void Refuse() { refuses_ = true; }

 private:
  int64_t recorded_ = 0;
  bool refuses_ = false;
};

}  // namespace attnrl::device
