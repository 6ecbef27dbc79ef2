// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/clock.h"

namespace attnrl::bench {

// What happens when, in one thread: by a clock that jumps from one event to the next, or by the
// real one, for which this thread sleeps.
class Timeline {
 public:
  explicit Timeline(bool real) : real_(real) {}

  bool real() const { return real_; }
  Clock& clock() { return real_ ? Clock::Real() : fake_; }
  absl::Duration now() { return clock().Monotonic(); }
  void After(absl::Duration delay, std::function<void()> what) {
    events_.emplace(now() + delay, std::move(what));
  }
  // Now, in the thread of Run; from any thread.
  void Post(std::function<void()> what) {
    absl::MutexLock lock(&mutex_);
    posted_.push_back(std::move(what));
  }
  // Until `over` is true, or nothing is to happen any more; by the real clock, and nothing was
  // posted for a minute.
  void Run(const std::function<bool()>& over) {
    while (!over()) {
      if (const auto posted = TakePosted()) {
        posted();
        continue;
      }
      if (events_.empty()) {
        if (real_ && AwaitPosted(kSilence)) continue;
        return;
      }
      const absl::Duration wait = events_.begin()->first - now();
      if (wait > absl::ZeroDuration()) {
        if (!real_) {
          fake_.Advance(wait);
        } else if (AwaitPosted(wait)) {
          continue;
        }
      }
      const auto what = std::move(events_.begin()->second);
      events_.erase(events_.begin());
      what();
    }
  }

 private:
  static constexpr absl::Duration kSilence = absl::Minutes(1);

  std::function<void()> TakePosted() {
    absl::MutexLock lock(&mutex_);
    if (posted_.empty()) return nullptr;
    auto first = std::move(posted_.front());
    posted_.pop_front();
    return first;
  }
  bool AwaitPosted(absl::Duration wait) {
    absl::MutexLock lock(&mutex_);
    const auto some = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return !posted_.empty(); };
    return mutex_.AwaitWithTimeout(absl::Condition(&some), wait);
  }

  const bool real_;
  FakeClock fake_;
  std::multimap<absl::Duration, std::function<void()>> events_;
  absl::Mutex mutex_;
  std::deque<std::function<void()>> posted_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attnrl::bench
