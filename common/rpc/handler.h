// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace attnrl::rpc {

// No unary call may ask for more time than this.
inline constexpr absl::Duration kMaxDeadline = absl::Minutes(10);

// One call as its server sees it, from the checks before its work to its status. Handle and
// HandleStream are made of it; a handler that is no single function (a reactor) keeps one itself.
class ServedCall {
 public:
  enum class Kind { kUnary, kStream };
  // Its time starts here. `method` is "<service>/<method>" of metric_names.h; the context has to
  // outlive the call.
  ServedCall(grpc::ServerContextBase* context, std::string_view method, Kind kind);

  // What every call is checked for before its work begins, each kind of handler alike. The caller's
  // role has to be one that may call the method (security/roles.h). A unary call needs a deadline
  // that has not passed and is not beyond kMaxDeadline.
  absl::Status Admit() const;
  // Counts and times the call, logs it where this process is at fault; the status to answer with.
  // Once, at its end.
  grpc::Status End(const absl::Status& status) const;

 private:
  grpc::ServerContextBase& context_;
  const std::string method_;
  const Kind kind_;
  const absl::Duration start_;  // monotonic
};

// The body of every unary handler is one call of this:
//   return rpc::Handle(context, "Verifier/Verify", [&] { return Verify(*request, reply); });
// Refuses a caller whose role may not call `method` (security/roles.h), and a call without a
// deadline, with one beyond kMaxDeadline, or whose deadline has passed; runs `work` on the calling
// thread; logs errors; counts calls and their time; maps the status. `method` is
// "<service>/<method>" of metric_names.h.
grpc::Status Handle(grpc::ServerContextBase* context, std::string_view method,
                    const std::function<absl::Status()>& work);

// The same for streaming handlers, which need no deadline: they end with their peer.
grpc::Status HandleStream(grpc::ServerContextBase* context, std::string_view method,
                          const std::function<absl::Status()>& work);

}  // namespace attnrl::rpc
