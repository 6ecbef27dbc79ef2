// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace attnrl {

// Time as a seam: nothing in a core reads the clock or sleeps but through this. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Wall clock, for events.jsonl and logs. May jump.
  virtual absl::Time Now() const = 0;
  // Seconds since an arbitrary start, never backwards: for leases, deadlines and durations.
  virtual absl::Duration Monotonic() const = 0;
  virtual void Sleep(absl::Duration duration) = 0;

  // The process's real clock; never destroyed.
  static Clock& Real();
};

// Seconds since the epoch, as records and messages have wall-clock times; microseconds survive.
inline double UnixSeconds(absl::Time time) {
  return absl::ToDoubleSeconds(time - absl::UnixEpoch());
}

// A span of work for the records: the wall clock says when it began, the monotonic one how long it
// is. So a jump of the wall clock meanwhile neither stretches it nor puts its end before its start.
// `clock` must outlive it.
class Stopwatch {
 public:
  explicit Stopwatch(const Clock& clock)
      : clock_(&clock), start_(clock.Now()), begun_(clock.Monotonic()) {}

  absl::Time start() const { return start_; }
  absl::Duration Elapsed() const { return clock_->Monotonic() - begun_; }
  // Now, by the wall clock as it was at the start.
  absl::Time End() const { return start_ + Elapsed(); }

 private:
  const Clock* clock_;
  absl::Time start_;
  absl::Duration begun_;
};

// Stands still until told to advance; Sleep advances it. For tests.
class FakeClock final : public Clock {
 public:
  absl::Time Now() const override;
  absl::Duration Monotonic() const override;
  void Sleep(absl::Duration duration) override { Advance(duration); }
  void Advance(absl::Duration duration);
  // Sets the wall clock forward, or back by a negative duration.
  void Jump(absl::Duration duration);

 private:
  mutable absl::Mutex mutex_;
  absl::Duration elapsed_ ABSL_GUARDED_BY(mutex_) = absl::ZeroDuration();
  absl::Duration jumped_ ABSL_GUARDED_BY(mutex_) = absl::ZeroDuration();
};

}  // namespace attnrl
