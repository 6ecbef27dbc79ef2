// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/handler.h"

#include <chrono>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/observe/log.h"
#include "common/observe/metrics.h"
#include "common/rpc/once_a_minute.h"
#include "common/rpc/security/authorize.h"
#include "common/rpc/status.h"

namespace attnrl::rpc {
namespace {

std::pair<std::string_view, std::string_view> Split(std::string_view method) {
  const size_t slash = method.find('/');
  if (slash == std::string_view::npos) return {method, ""};
  return {method.substr(0, slash), method.substr(slash + 1)};
}

absl::Status CheckDeadline(const grpc::ServerContextBase& context) {
  const absl::Duration left = absl::FromChrono(context.deadline()) - absl::Now();
  if (left > kMaxDeadline) {
    return InputError("deadline",
                      left > absl::Hours(24 * 365)
                          ? std::string("the call has none")
                          : absl::StrCat("is ", absl::FormatDuration(left), " away"),
                      absl::StrCat("at most ", absl::FormatDuration(kMaxDeadline)));
  }
  if (left <= absl::ZeroDuration()) {
    return absl::DeadlineExceededError("the caller's deadline has passed before the work began");
  }
  return absl::OkStatus();
}

// Mistakes and absences of the caller are its own to report; what is broken here is logged here.
bool IsOurs(grpc::StatusCode code) {
  return code == grpc::StatusCode::INTERNAL || code == grpc::StatusCode::DATA_LOSS ||
         code == grpc::StatusCode::UNKNOWN;
}

void Record(const grpc::ServerContextBase& context, std::string_view method, absl::Duration elapsed,
            const grpc::Status& status) {
  const auto [service, name] = Split(method);
  observe::Count(observe::kRpcRequestsTotal, {service, name, CodeName(status.error_code())});
  observe::Observe(observe::kRpcDurationSeconds, {service, name}, absl::ToDoubleSeconds(elapsed));
  if (status.ok()) return;
  bool warn = IsOurs(status.error_code());
  if (status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED) {
    observe::Count(observe::kRpcRejectedTotal, {service, "overload"});
    static OnceAMinute is_time;
    warn = is_time();
  }
  const auto log = warn ? observe::LogWarning : observe::LogDebug;
  log("call failed", {{"method", method},
                      {"code", CodeName(status.error_code())},
                      {"reason", status.error_message()},
                      {"peer", context.peer()},
                      {"seconds", absl::ToDoubleSeconds(elapsed)}});
}

grpc::Status Serve(const ServedCall& call, const std::function<absl::Status()>& work) {
  const absl::Status admitted = call.Admit();
  return call.End(admitted.ok() ? work() : admitted);
}

}  // namespace

ServedCall::ServedCall(grpc::ServerContextBase* context, std::string_view method, Kind kind)
    : context_(*context), method_(method), kind_(kind), start_(Clock::Real().Monotonic()) {}

absl::Status ServedCall::Admit() const {
  const std::string_view service = Split(method_).first;
  absl::Status access = Authorize(context_, method_);
  if (!access.ok()) {
    observe::Count(observe::kRpcRejectedTotal, {service, "authz"});
    return access;
  }
  if (kind_ == Kind::kStream) return absl::OkStatus();
  absl::Status deadline = CheckDeadline(context_);
  if (!deadline.ok()) observe::Count(observe::kRpcRejectedTotal, {service, "deadline"});
  return deadline;
}

grpc::Status ServedCall::End(const absl::Status& status) const {
  grpc::Status answer = ToGrpc(status);
  Record(context_, method_, Clock::Real().Monotonic() - start_, answer);
  return answer;
}

grpc::Status Handle(grpc::ServerContextBase* context, std::string_view method,
                    const std::function<absl::Status()>& work) {
  return Serve(ServedCall(context, method, ServedCall::Kind::kUnary), work);
}

grpc::Status HandleStream(grpc::ServerContextBase* context, std::string_view method,
                          const std::function<absl::Status()>& work) {
  return Serve(ServedCall(context, method, ServedCall::Kind::kStream), work);
}

}  // namespace attnrl::rpc
