// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <functional>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace attnrl::rpc {

// No unary call may ask for more time than this.
inline constexpr absl::Duration kMaxDeadline = absl::Minutes(10);

// The body of every unary handler is one call of this:
//   return rpc::Handle(context, "Verifier/Verify", [&] { return Verify(*request, reply); });
// Refuses a call without a deadline, with one beyond kMaxDeadline, or whose deadline has passed;
// runs `work` on the calling thread; logs errors; counts calls and their time; maps the
// status. `method` is "<service>/<method>" of metric_names.h.
grpc::Status Handle(grpc::ServerContextBase* context, std::string_view method,
                    const std::function<absl::Status()>& work);

// The same for streaming handlers, which need no deadline: they end with their peer.
grpc::Status HandleStream(grpc::ServerContextBase* context, std::string_view method,
                          const std::function<absl::Status()>& work);

}  // namespace attnrl::rpc
