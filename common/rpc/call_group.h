// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>

#include <functional>
#include <memory>
#include <set>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace attnrl::rpc {

// The calls of one client. Cancel, from any thread, ends them and every wait for another attempt.
// Which errors are worth another attempt, and for how long, the client decides in its own loop:
//
//   for (Backoff backoff(first, bound);;) {
//     const rpc::Call call(calls_, deadline);
//     const auto status = rpc::FromGrpc(stub_->Verify(call.context(), request, &reply), "...");
//     if (!absl::IsUnavailable(status)) return status;
//     if (!calls_.WaitToRetry("Verifier/Verify", backoff.Next())) return Cancelled();
//   }
//
// Thread-safe.
class CallGroup {
 public:
  // Ends every call and every wait, now and later.
  void Cancel();
  bool cancelled() const;

  // Waits before another attempt at `method` and counts the retry. False, at once, after Cancel.
  bool WaitToRetry(std::string_view method, absl::Duration wait);

 private:
  friend class Call;
  void Add(grpc::ClientContext* context);
  void Remove(grpc::ClientContext* context);

  mutable absl::Mutex mutex_;
  std::set<grpc::ClientContext*> running_ ABSL_GUARDED_BY(mutex_);
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
};

// One attempt at one call, a stream included: in its group for as long as it lives. `deadline` as
// for MakeContext.
class Call {
 public:
  Call(CallGroup& group, absl::Duration deadline);
  ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  grpc::ClientContext* context() const { return context_.get(); }
  // Ends this call only.
  void Cancel() const { context_->TryCancel(); }
  // The status of a stream from which Read has returned false. It is there by then, unless a
  // message came that can't be parsed: that ends reading, too, but not the stream, and its Finish
  // would wait for ever. After `wait` the call is cancelled: UNAVAILABLE. `finish` calls Finish.
  grpc::Status Finish(const std::function<grpc::Status()>& finish,
                      absl::Duration wait = absl::Seconds(5)) const;

 private:
  CallGroup& group_;
  const std::unique_ptr<grpc::ClientContext> context_;
};

}  // namespace attnrl::rpc
