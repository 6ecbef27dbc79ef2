// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/client_context.h>

#include <set>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace attnrl::rpc {

// Lets one thread end the calls that others are in, now and later. Thread-safe.
class CallCancel {
 public:
  // Registers a call for as long as it lives.
  class Scope {
   public:
    Scope(CallCancel* owner, grpc::ClientContext* context) : owner_(owner), context_(context) {
      absl::MutexLock lock(&owner_->mutex_);
      owner_->calls_.insert(context_);
      if (owner_->cancelled_) context_->TryCancel();
    }
    ~Scope() {
      absl::MutexLock lock(&owner_->mutex_);
      owner_->calls_.erase(context_);
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    CallCancel* const owner_;
    grpc::ClientContext* const context_;
  };

  void Cancel() {
    absl::MutexLock lock(&mutex_);
    cancelled_ = true;
    for (grpc::ClientContext* call : calls_) call->TryCancel();
  }
  bool cancelled() const {
    absl::MutexLock lock(&mutex_);
    return cancelled_;
  }
  // Waits, but not longer than until Cancel.
  void Sleep(absl::Duration duration) const {
    absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithTimeout(absl::Condition(&cancelled_), duration);
  }

 private:
  mutable absl::Mutex mutex_;
  std::set<grpc::ClientContext*> calls_ ABSL_GUARDED_BY(mutex_);
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace attnrl::rpc
