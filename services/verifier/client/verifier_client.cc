// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/client/verifier_client.h"

#include <algorithm>
#include <map>
#include <span>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/rpc/call_group.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"
#include "proto/attnrl/v1/verifier.grpc.pb.h"
#include "services/verifier/convert/convert.h"

namespace attnrl::verifier {
namespace {

constexpr absl::Duration kFirstWait = absl::Milliseconds(20);
// For how long a server counts that has answered.
constexpr absl::Duration kRemembered = absl::Minutes(1);

absl::Status Check(const GradeRequest& request) {
  std::string where = absl::StrCat("response \"", OneLine(request.id, 60), "\"");
  if (request.answers.empty()) {
    return InputError(where, "no accepted answer", "at least one is needed");
  }
  if (Bytes(request) > kMaxBytesPerCall) {
    return InputError(where, absl::StrCat(Bytes(request), " bytes"),
                      absl::StrCat(kMaxBytesPerCall, " with its answers at most"));
  }
  return absl::OkStatus();
}

// How many of `requests` fit into one call: those of one grader, to grade or to check.
size_t CallSize(std::span<const GradeRequest> requests) {
  size_t count = 0;
  size_t bytes = 0;
  while (count < std::min(requests.size(), kMaxResponsesPerCall)) {
    bytes += Bytes(requests[count]);
    if (count > 0 && bytes > kMaxBytesPerCall) break;
    if (requests[count].grader != requests[0].grader) break;
    if (requests[count].check != requests[0].check) break;
    ++count;
  }
  return count;
}

absl::Status Cancelled() { return absl::CancelledError("the verification was cancelled"); }

class StubVerifierClient final : public VerifierClient {
 public:
  StubVerifierClient(std::shared_ptr<grpc::Channel> channel, const VerifierClientOptions& options)
      : options_(options), stub_(v1::Verifier::NewStub(std::move(channel))) {}

  absl::StatusOr<std::vector<GradeResult>> Verify(const std::vector<GradeRequest>& requests,
                                                  absl::Duration deadline) override {
    const absl::Duration end = Clock::Real().Monotonic() + deadline;
    for (const GradeRequest& request : requests) ATTNRL_RETURN_IF_ERROR(Check(request));
    std::vector<GradeResult> results;
    std::span<const GradeRequest> left(requests);
    while (!left.empty()) {
      const size_t count = CallSize(left);
      ATTNRL_ASSIGN_OR_RETURN(std::vector<GradeResult> some, VerifySome(left.first(count), end));
      std::move(some.begin(), some.end(), std::back_inserter(results));
      left = left.subspan(count);
    }
    return results;
  }

  size_t servers() const override {
    absl::MutexLock lock(&mutex_);
    return std::max<size_t>(1, servers_.size());
  }

  void Cancel() override { calls_.Cancel(); }

 private:
  // One call, again and again while the verifier is away or overloaded, until `end`: the last error
  // when there is no time for another attempt.
  absl::StatusOr<std::vector<GradeResult>> VerifySome(std::span<const GradeRequest> requests,
                                                      absl::Duration end) {
    v1::VerifyRequest message;
    message.set_task(requests.front().grader);
    message.set_check(requests.front().check);
    for (const GradeRequest& request : requests) *message.add_responses() = ToProto(request);
    Backoff backoff(kFirstWait, options_.max_backoff);
    while (true) {
      const rpc::Call call(calls_, end - Clock::Real().Monotonic());
      v1::VerifyReply reply;
      const absl::Status status =
          rpc::FromGrpc(stub_->Verify(call.context(), message, &reply),
                        absl::StrCat("verification of ", requests.size(), " responses"));
      if (status.ok()) {
        NoteServer(call.context()->peer());
        return FromProto(reply, requests);
      }
      if (calls_.cancelled()) return Cancelled();
      if (!absl::IsUnavailable(status) && !absl::IsResourceExhausted(status)) return status;
      const absl::Duration wait = backoff.Next();
      if (Clock::Real().Monotonic() + wait >= end) return status;
      if (!calls_.WaitToRetry("Verifier/Verify", wait)) return Cancelled();
    }
  }

  void NoteServer(const std::string& address) {
    const absl::Duration now = Clock::Real().Monotonic();
    absl::MutexLock lock(&mutex_);
    servers_[address] = now;
    std::erase_if(servers_, [now](const auto& entry) { return now - entry.second > kRemembered; });
  }

  const VerifierClientOptions options_;
  const std::unique_ptr<v1::Verifier::Stub> stub_;
  mutable absl::Mutex mutex_;
  // When each answered last.
  std::map<std::string, absl::Duration> servers_ ABSL_GUARDED_BY(mutex_);
  rpc::CallGroup calls_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<VerifierClient>> ConnectVerifier(
    const std::string& address, const VerifierClientOptions& options) {
  rpc::ChannelOptions channel_options;
  channel_options.max_request_bytes = static_cast<int>(kMaxMessageBytes);
  channel_options.max_reply_bytes = static_cast<int>(kMaxMessageBytes);
  channel_options.security = options.security;
  channel_options.peer = rpc::Role::kVerifier;
  ATTNRL_ASSIGN_OR_RETURN(std::shared_ptr<grpc::Channel> channel,
                          rpc::Connect(address, channel_options));
  return std::make_unique<StubVerifierClient>(std::move(channel), options);
}

}  // namespace attnrl::verifier
