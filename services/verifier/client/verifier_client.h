// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "services/verifier/types.h"

namespace attnrl::verifier {

// Grades responses. Called by the scheduler and by nobody else. Thread-safe.
//
//   auto client = ConnectVerifier("unix:/tmp/x/verifier.sock");
//   auto results = (*client)->Verify({{"p1/0", text, {"42"}}}, absl::Seconds(30));
class VerifierClient {
 public:
  virtual ~VerifierClient() = default;

  // One result a request, in their order. Blocks for `deadline` at most. More requests or bytes
  // than one call may carry are sent as several calls, one after another. Idempotent.
  // Time-outs and crashes of the grader are results (see IsVerdict), not errors.
  // UNAVAILABLE: no verifier answered until the deadline (it is retried until then).
  // RESOURCE_EXHAUSTED: overloaded until the deadline; later it may work. DEADLINE_EXCEEDED.
  // INVALID_ARGUMENT: a request without answers, or one larger than kMaxBytesPerResponse.
  virtual absl::StatusOr<std::vector<GradeResult>> Verify(const std::vector<GradeRequest>& requests,
                                                          absl::Duration deadline) = 0;
  // Ends the calls that others are in, and all later ones, with CANCELLED. For shutdown.
  virtual void Cancel() = 0;
};

struct VerifierClientOptions {
  // Longest wait between two attempts.
  absl::Duration max_backoff = absl::Seconds(2);
  bool allow_plaintext = false;
};

// A client for the Verifier served at `address` ("unix:/path" or "host:port"). Doesn't connect
// yet: an unreachable verifier is waited for by the calls.
absl::StatusOr<std::unique_ptr<VerifierClient>> ConnectVerifier(
    const std::string& address, const VerifierClientOptions& options = {});

// Grades with a function in this process. For tests of whoever uses a VerifierClient. Thread-safe.
class FakeVerifierClient final : public VerifierClient {
 public:
  using Grade = std::function<GradeResult(const GradeRequest&)>;

  // Without a function: correct exactly when the response contains "\boxed{A}" for an answer A.
  explicit FakeVerifierClient(Grade grade = nullptr);

  // The next `count` calls of Verify fail with `status`.
  void FailCalls(int count, absl::Status status);

  absl::StatusOr<std::vector<GradeResult>> Verify(const std::vector<GradeRequest>& requests,
                                                  absl::Duration deadline) override;
  void Cancel() override {}  // no call lasts

  // Every request so far, in order.
  std::vector<GradeRequest> requests() const;

 private:
  const Grade grade_;
  mutable absl::Mutex mutex_;
  std::vector<GradeRequest> requests_ ABSL_GUARDED_BY(mutex_);
  int failures_left_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attnrl::verifier
