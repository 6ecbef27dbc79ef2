// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/testing/fake_verifier_client.h"

#include <utility>

namespace attnrl::verifier {
namespace {

GradeResult GradeByText(const GradeRequest& request) {
  GradeResult result;
  result.id = request.id;
  result.status = GradeStatus::kNoAnswer;
  if (request.response.find("\\boxed{") == std::string::npos) return result;
  result.status = GradeStatus::kGraded;
  for (size_t i = 0; i < request.answers.size(); ++i) {
    if (request.response.find("\\boxed{" + request.answers[i] + "}") == std::string::npos) continue;
    result.correct = true;
    result.extracted = request.answers[i];
    result.matched = static_cast<int32_t>(i);
    break;
  }
  return result;
}

}  // namespace

FakeVerifierClient::FakeVerifierClient(Grade grade)
    : grade_(grade ? std::move(grade) : Grade(GradeByText)) {}

void FakeVerifierClient::FailCalls(int count, absl::Status status) {
  absl::MutexLock lock(&mutex_);
  failures_left_ = count;
  failure_ = std::move(status);
}

absl::StatusOr<std::vector<GradeResult>> FakeVerifierClient::Verify(
    const std::vector<GradeRequest>& requests, absl::Duration /*deadline*/) {
  {
    absl::MutexLock lock(&mutex_);
    if (failures_left_ > 0) {
      --failures_left_;
      return failure_;
    }
    requests_.insert(requests_.end(), requests.begin(), requests.end());
  }
  std::vector<GradeResult> results;
  results.reserve(requests.size());
  for (const GradeRequest& request : requests) {
    GradeResult result = grade_(request);
    result.id = request.id;
    results.push_back(std::move(result));
  }
  return results;
}

std::vector<GradeRequest> FakeVerifierClient::requests() const {
  absl::MutexLock lock(&mutex_);
  return requests_;
}

}  // namespace attnrl::verifier
