// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "services/verifier/client/verifier_client.h"

namespace attnrl::verifier {

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
