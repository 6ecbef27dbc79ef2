// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/rpc/security/security.h"
#include "services/verifier/types.h"

namespace attnrl::verifier {

// Grades responses. Called only by the scheduler. Thread-safe.
//
//   auto client = ConnectVerifier("unix:/tmp/x/verifier.sock");
//   auto results = (*client)->Verify({{"p1/0", text, {"42"}}}, absl::Seconds(30));
class VerifierClient {
 public:
  virtual ~VerifierClient() = default;

  // One result a request, in their order. Blocks for `deadline` at most. More requests or bytes
  // than one call may carry are sent as several calls, one after another. Idempotent.
  // Time-outs and crashes of the grader are results (see IsVerdict), not errors. A request with
  // `check` grades nothing: its result is kUnparsable where an accepted answer can't be read, and
  // kGraded otherwise, also from a verifier that doesn't know it.
  // UNAVAILABLE: no verifier answered until the deadline (it is retried until then).
  // RESOURCE_EXHAUSTED: overloaded until the deadline; a later call may work. DEADLINE_EXCEEDED.
  // INVALID_ARGUMENT: a request without answers, or one larger than kMaxBytesPerCall.
  // DATA_LOSS: the reply is not one result for each request. CANCELLED after Cancel. Whatever else
  // the verifier answers is returned at once.
  virtual absl::StatusOr<std::vector<GradeResult>> Verify(const std::vector<GradeRequest>& requests,
                                                          absl::Duration deadline) = 0;
  // Servers that answered within the last minute, at least 1: behind one name there may be several.
  virtual size_t servers() const { return 1; }
  // Ends the calls that others are in, and all later ones, with CANCELLED. For shutdown.
  virtual void Cancel() = 0;
};

struct VerifierClientOptions {
  // Longest wait between two attempts.
  absl::Duration max_backoff = absl::Seconds(2);
  rpc::Security security = {};
};

// A client for the Verifier served at `address` ("unix:/path" or "host:port"). Doesn't connect
// yet: an unreachable verifier is waited for by the calls.
absl::StatusOr<std::unique_ptr<VerifierClient>> ConnectVerifier(
    const std::string& address, const VerifierClientOptions& options = {});

}  // namespace attnrl::verifier
