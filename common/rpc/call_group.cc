// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/call_group.h"

#include <thread>

#include "absl/synchronization/notification.h"
#include "common/rpc/channel.h"
#include "common/rpc/measurement.h"

namespace attnrl::rpc {

void CallGroup::Cancel() {
  absl::MutexLock lock(&mutex_);
  cancelled_ = true;
  for (grpc::ClientContext* context : running_) context->TryCancel();
}

bool CallGroup::cancelled() const {
  absl::MutexLock lock(&mutex_);
  return cancelled_;
}

bool CallGroup::WaitToRetry(std::string_view method, absl::Duration wait) {
  absl::MutexLock lock(&mutex_);
  if (mutex_.AwaitWithTimeout(absl::Condition(&cancelled_), wait)) return false;
  CountRetry(method);
  return true;
}

void CallGroup::Add(grpc::ClientContext* context) {
  absl::MutexLock lock(&mutex_);
  running_.insert(context);
  if (cancelled_) context->TryCancel();
}

void CallGroup::Remove(grpc::ClientContext* context) {
  absl::MutexLock lock(&mutex_);
  running_.erase(context);
}

Call::Call(CallGroup& group, absl::Duration deadline)
    : group_(group), context_(MakeContext(deadline)) {
  group_.Add(context_.get());
}

Call::~Call() { group_.Remove(context_.get()); }

grpc::Status Call::Finish(const std::function<grpc::Status()>& finish, absl::Duration wait) const {
  absl::Notification finished;
  bool given_up = false;
  std::thread watch([&] {
    given_up = !finished.WaitForNotificationWithTimeout(wait);
    if (given_up) Cancel();
  });
  const grpc::Status status = finish();
  finished.Notify();
  watch.join();
  if (!given_up) return status;
  return {grpc::StatusCode::UNAVAILABLE, "the other side sent a message that can't be read"};
}

}  // namespace attnrl::rpc
