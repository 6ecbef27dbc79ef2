// SPDX-License-Identifier: Apache-2.0
#include "common/rpc/testing/health.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"

namespace attnrl::rpc {
namespace {

constexpr char kHealthMethod[] = "/grpc.health.v1.Health/Check";

// One unary call without generated code. The health service's messages are so small that they are
// written by hand: one field each.
absl::StatusOr<std::string> CallUnary(const std::shared_ptr<grpc::Channel>& channel,
                                      const std::string& request, absl::Duration deadline) {
  const auto context = MakeContext(deadline);
  grpc::GenericStub stub(channel);
  grpc::CompletionQueue queue;
  const grpc::Slice slice(request);
  const grpc::ByteBuffer sent(&slice, 1);
  const auto call = stub.PrepareUnaryCall(context.get(), kHealthMethod, sent, &queue);
  call->StartCall();
  grpc::ByteBuffer received;
  grpc::Status status;
  call->Finish(&received, &status, &queue);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) continue;
  ATTNRL_RETURN_IF_ERROR(FromGrpc(status, "health"));
  std::vector<grpc::Slice> slices;
  if (!received.Dump(&slices).ok()) return absl::InternalError("health: unreadable answer");
  std::string bytes;
  for (const grpc::Slice& piece : slices) {
    bytes.append(reinterpret_cast<const char*>(piece.begin()), piece.size());
  }
  return bytes;
}

}  // namespace

absl::Status WaitReady(grpc::Channel& channel, absl::Duration timeout, const std::string& what) {
  if (channel.WaitForConnected(absl::ToChronoTime(absl::Now() + timeout))) return absl::OkStatus();
  return absl::DeadlineExceededError(
      absl::StrCat(what, ": not reachable within ", absl::FormatDuration(timeout)));
}

absl::Status CheckHealth(const std::shared_ptr<grpc::Channel>& channel, const std::string& service,
                         absl::Duration deadline) {
  if (service.size() > 127) return absl::InternalError("a service's name has at most 127 bytes");
  std::string request;  // HealthCheckRequest { string service = 1; }
  if (!service.empty()) {
    request = absl::StrCat("\x0a", std::string(1, static_cast<char>(service.size())), service);
  }
  const absl::StatusOr<std::string> answer = CallUnary(channel, request, deadline);
  const std::string name = service.empty() ? "the server" : service;
  if (!answer.ok()) {
    return absl::UnavailableError(
        absl::StrCat(name, " does not answer: ", std::string(answer.status().message())));
  }
  // HealthCheckResponse { ServingStatus status = 1; }, SERVING = 1
  if (*answer == std::string("\x08\x01", 2)) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(name, " is not serving"));
}

}  // namespace attnrl::rpc
