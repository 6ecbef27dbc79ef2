// SPDX-License-Identifier: Apache-2.0
// Tells the thread sanitizer what Abseil's locks do: the system's Abseil is built without it, and
// its waits and wakes are invisible. Linked into tests under it in place of the shared library's
// functions, which these call. Only those that tests without gRPC and LibTorch use are here.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/base/options.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

extern "C" {
void __tsan_acquire(void* address);
void __tsan_release(void* address);
void __tsan_ignore_thread_begin();
void __tsan_ignore_thread_end();
}

namespace {

#define ATTNRL_TEXT_OF(name) #name
#define ATTNRL_TEXT(name) ATTNRL_TEXT_OF(name)

// The shared library's function of that mangled name within absl's inline namespace.
template <typename Function>
Function* Real(const char* prefix, const char* rest) {
  const std::string space = ATTNRL_TEXT(ABSL_OPTION_INLINE_NAMESPACE_NAME);
  const std::string name = absl::StrCat(prefix, "4absl", space.size(), space, rest);
  void* const found = ::dlsym(RTLD_NEXT, name.c_str());
  if (found == nullptr) {
    std::fprintf(stderr, "no %s in the system's Abseil\n", name.c_str());
    std::abort();
  }
  return reinterpret_cast<Function*>(found);
}

// While it lives, this thread gives a lock up or waits for it. Conditions of other threads, which
// Abseil evaluates meanwhile under the lock, are not looked at: after the release below they would
// seem to be without it.
class GivenUp {
 public:
  explicit GivenUp(const void* lock, bool takes_again)
      : lock_(const_cast<void*>(lock)), takes_again_(takes_again) {
    __tsan_release(lock_);
    __tsan_ignore_thread_begin();
  }
  ~GivenUp() {
    __tsan_ignore_thread_end();
    if (takes_again_) __tsan_acquire(lock_);
  }
  GivenUp(const GivenUp&) = delete;
  GivenUp& operator=(const GivenUp&) = delete;

 private:
  void* const lock_;
  const bool takes_again_;
};

}  // namespace

namespace absl {
ABSL_NAMESPACE_BEGIN

void Mutex::Lock() {
  static auto* const real = Real<void(Mutex*)>("_ZN", "5Mutex4LockEv");
  real(this);
  __tsan_acquire(this);
}

void Mutex::Unlock() {
  static auto* const real = Real<void(Mutex*)>("_ZN", "5Mutex6UnlockEv");
  const GivenUp given_up(this, false);
  real(this);
}

void Mutex::Await(const Condition& condition) {
  static auto* const real =
      Real<void(Mutex*, const Condition&)>("_ZN", "5Mutex5AwaitERKNS0_9ConditionE");
  const GivenUp given_up(this, true);
  real(this, condition);
}

bool Mutex::AwaitWithTimeout(const Condition& condition, Duration timeout) {
  static auto* const real = Real<bool(Mutex*, const Condition&, Duration)>(
      "_ZN", "5Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE");
  const GivenUp given_up(this, true);
  return real(this, condition, timeout);
}

bool CondVar::WaitWithTimeout(Mutex* mutex, Duration timeout) {
  static auto* const real = Real<bool(CondVar*, Mutex*, Duration)>(
      "_ZN", "7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE");
  const GivenUp given_up(mutex, true);
  return real(this, mutex, timeout);
}

void Notification::Notify() {
  static auto* const real = Real<void(Notification*)>("_ZN", "12Notification6NotifyEv");
  __tsan_release(this);
  real(this);
}

void Notification::WaitForNotification() const {
  static auto* const real =
      Real<void(const Notification*)>("_ZNK", "12Notification19WaitForNotificationEv");
  real(this);
  __tsan_acquire(const_cast<Notification*>(this));
}

bool Notification::WaitForNotificationWithTimeout(Duration timeout) const {
  static auto* const real = Real<bool(const Notification*, Duration)>(
      "_ZNK", "12Notification30WaitForNotificationWithTimeoutENS0_8DurationE");
  const bool notified = real(this, timeout);
  if (notified) __tsan_acquire(const_cast<Notification*>(this));
  return notified;
}

ABSL_NAMESPACE_END
}  // namespace absl
