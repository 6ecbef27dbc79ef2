// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace attnrl::rpc {

// How many calls of one method may hold a thread at once, for methods whose calls last: the others
// keep theirs. Thread-safe.
class Seats {
 public:
  Seats(std::string method, int seats) : method_(std::move(method)), seats_(seats) {}

  // Runs `work` on the calling thread; RESOURCE_EXHAUSTED, which names method and bound, where no
  // seat is free.
  absl::Status Run(const std::function<absl::Status()>& work);

 private:
  const std::string method_;
  const int seats_;
  absl::Mutex mutex_;
  int taken_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace attnrl::rpc
