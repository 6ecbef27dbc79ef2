// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"

namespace attnrl::kernels {

// Threads that share loops of some microseconds, hundreds of them in a row. Between two loops they
// look for the next one without sleeping, but no longer than kLookUp, since others may need the
// processor; then they sleep until one comes.
//
//   ThreadTeam team(4);
//   team.UseOnThisThread();
//   ... ThreadTeam::OfThisThread()->Run(rows, 1, [&](int64_t begin, int64_t end) { ... });
//
// One thread calls Run, and it is one of the team.
class ThreadTeam {
 public:
  explicit ThreadTeam(int threads);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  int threads() const { return static_cast<int>(members_.size()) + 1; }

  // Calls run(begin, end) once for each of some ranges that make up [0, items), one a thread at
  // most and of `grain` items at least, and returns when all have returned. An exception of one of
  // them comes through. Within a call of run it has only the calling thread, whichever that is.
  void Run(int64_t items, int64_t grain, absl::FunctionRef<void(int64_t, int64_t)> run);

  // Makes this the team of the calling thread, which may not use it after its end.
  void UseOnThisThread();
  // Null where there is none.
  static ThreadTeam* OfThisThread();

 private:
  using Range = absl::FunctionRef<void(int64_t, int64_t)>;

  void Work(int member);
  void DoPart(int part);
  bool AwaitRound(uint64_t round);
  void AwaitMembers();

  std::vector<std::thread> members_;
  // Of the loop that runs, written by the caller before its round begins.
  bool running_ = false;
  const Range* run_ = nullptr;
  int64_t items_ = 0;
  int64_t parts_ = 0;
  std::exception_ptr error_ ABSL_GUARDED_BY(mutex_);

  alignas(64) std::atomic<uint64_t> round_ = 0;  // the newest loop's number
  alignas(64) std::atomic<int> busy_ = 0;        // members that haven't ended it
  alignas(64) std::atomic<int> asleep_ = 0;      // members that must be woken for the next one
  std::atomic<bool> caller_asleep_ = false;
  std::atomic<bool> ending_ = false;
  absl::Mutex mutex_;
  absl::CondVar begun_;
  absl::CondVar ended_;
};

}  // namespace attnrl::kernels
