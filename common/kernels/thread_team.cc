// SPDX-License-Identifier: Apache-2.0
#include "common/kernels/thread_team.h"

#include <algorithm>
#include <utility>

#include "absl/time/time.h"
#include "common/base/clock.h"

namespace attnrl::kernels {
namespace {

// The gaps between the loops of a forward pass are shorter.
constexpr absl::Duration kLookUp = absl::Microseconds(30);
// Every wait has a deadline: a sleeper looks up this often though nobody wakes it.
constexpr absl::Duration kSleep = absl::Seconds(30);

thread_local ThreadTeam* team_of_this_thread = nullptr;

void Relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// True as soon as `ready` is, false when it wasn't for kLookUp.
template <typename Ready>
bool LookFor(const Ready& ready) {
  constexpr int kLooksAtOnce = 64;  // without asking for the time
  const absl::Duration end = Clock::Real().Monotonic() + kLookUp;
  do {
    for (int i = 0; i < kLooksAtOnce; ++i) {
      if (ready()) return true;
      Relax();
    }
  } while (Clock::Real().Monotonic() < end);
  return false;
}

}  // namespace

ThreadTeam::ThreadTeam(int threads) {
  for (int member = 1; member < threads; ++member) {
    members_.emplace_back([this, member] { Work(member); });
  }
}

ThreadTeam::~ThreadTeam() {
  ending_ = true;
  {
    absl::MutexLock lock(&mutex_);
    begun_.SignalAll();
  }
  for (std::thread& member : members_) member.join();
  if (team_of_this_thread == this) team_of_this_thread = nullptr;
}

void ThreadTeam::UseOnThisThread() { team_of_this_thread = this; }

ThreadTeam* ThreadTeam::OfThisThread() { return team_of_this_thread; }

void ThreadTeam::Run(int64_t items, int64_t grain, Range run) {
  const int64_t parts = std::min<int64_t>(threads(), items / std::max<int64_t>(grain, 1));
  if (parts <= 1 || running_) {
    if (items > 0) run(0, items);
    return;
  }
  running_ = true;
  run_ = &run;
  items_ = items;
  parts_ = parts;
  busy_ = static_cast<int>(members_.size());
  ++round_;
  if (asleep_ > 0) {
    absl::MutexLock lock(&mutex_);
    begun_.SignalAll();
  }
  DoPart(0);
  AwaitMembers();
  running_ = false;
  absl::MutexLock lock(&mutex_);
  if (error_ != nullptr) std::rethrow_exception(std::exchange(error_, nullptr));
}

void ThreadTeam::DoPart(int part) {
  if (part >= parts_) return;
  try {
    (*run_)(items_ * part / parts_, items_ * (part + 1) / parts_);
  } catch (...) {
    absl::MutexLock lock(&mutex_);
    error_ = std::current_exception();
  }
}

void ThreadTeam::Work(int member) {
  UseOnThisThread();
  for (uint64_t round = 1; AwaitRound(round); ++round) {
    DoPart(member);
    if (--busy_ > 0 || !caller_asleep_) continue;
    absl::MutexLock lock(&mutex_);
    ended_.Signal();
  }
}

// A sleeper says so before it looks for the last time, and who wakes looks for sleepers after the
// change: one of them sees the other.
bool ThreadTeam::AwaitRound(uint64_t round) {
  const auto ready = [&] { return round_ >= round || ending_; };
  if (!LookFor(ready)) {
    absl::MutexLock lock(&mutex_);
    ++asleep_;
    while (!ready()) begun_.WaitWithTimeout(&mutex_, kSleep);
    --asleep_;
  }
  return round_ >= round;
}

void ThreadTeam::AwaitMembers() {
  const auto ready = [&] { return busy_ == 0; };
  if (LookFor(ready)) return;
  absl::MutexLock lock(&mutex_);
  caller_asleep_ = true;
  while (!ready()) ended_.WaitWithTimeout(&mutex_, kSleep);
  caller_asleep_ = false;
}

}  // namespace attnrl::kernels
