// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/unreadable.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <span>
#include <utility>

#include "common/base/status.h"
#include "common/observe/log.h"
#include "common/storage/digest.h"

namespace attnrl::scheduler {
namespace {

// Problems that the verifier is asked about at once; the client makes calls of them.
constexpr size_t kBatch = 4096;
constexpr absl::Duration kDeadline = absl::Seconds(60);
constexpr absl::Duration kRetry = absl::Seconds(1);

bool IsAway(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsResourceExhausted(status) ||
         absl::IsDeadlineExceeded(status);
}

absl::StatusOr<std::vector<verifier::GradeResult>> Ask(
    verifier::VerifierClient& verifier, std::span<const verifier::GradeRequest> requests,
    const std::function<bool(absl::Duration)>& stop) {
  for (bool told = false;; told = true) {
    absl::StatusOr<std::vector<verifier::GradeResult>> results =
        verifier.Verify({requests.begin(), requests.end()}, kDeadline);
    if (results.ok() || !IsAway(results.status())) return results;
    if (absl::IsDeadlineExceeded(results.status()) && requests.size() > 1) {
      // A slow one would never be done with as many.
      const size_t half = requests.size() / 2;
      ATTNRL_ASSIGN_OR_RETURN(results, Ask(verifier, requests.first(half), stop));
      ATTNRL_ASSIGN_OR_RETURN(auto rest, Ask(verifier, requests.subspan(half), stop));
      results->insert(results->end(), std::make_move_iterator(rest.begin()),
                      std::make_move_iterator(rest.end()));
      return results;
    }
    if (!told) {
      observe::LogWarning("waiting for the verifier to read the accepted answers",
                          {{"error", std::string(results.status().message())}});
    }
    if (stop(kRetry)) return absl::CancelledError("the scheduler stops");
  }
}

}  // namespace

absl::StatusOr<LeftOut> LeaveOutUnreadable(const std::string& grader,
                                           verifier::VerifierClient& verifier,
                                           const std::function<bool(absl::Duration)>& stop,
                                           DataSet& set) {
  LeftOut left_out;
  std::string ids;
  std::vector<DataProblem> kept;
  for (size_t begin = 0; begin < set.problems.size(); begin += kBatch) {
    const size_t end = std::min(begin + kBatch, set.problems.size());
    std::vector<verifier::GradeRequest> requests;
    std::vector<size_t> rows;
    std::vector<bool> readable(end - begin, false);
    for (size_t row = begin; row < end; ++row) {
      const DataProblem& problem = set.problems[row];
      // One that no call carries could never be graded either.
      if (verifier::Bytes("", problem.answers) > verifier::kMaxBytesPerCall) continue;
      verifier::GradeRequest request = {problem.id, "", problem.answers};
      request.grader = problem.grader.empty() ? grader : problem.grader;
      request.check = true;
      requests.push_back(std::move(request));
      rows.push_back(row);
    }
    ATTNRL_ASSIGN_OR_RETURN(const std::vector<verifier::GradeResult> results,
                            Ask(verifier, requests, stop));
    for (size_t i = 0; i < results.size(); ++i) {
      readable[rows[i] - begin] = results[i].status == verifier::GradeStatus::kGraded;
    }
    for (size_t row = begin; row < end; ++row) {
      DataProblem& problem = set.problems[row];
      if (readable[row - begin]) {
        problem.where.clear();
        kept.push_back(std::move(problem));
        continue;
      }
      ids += problem.id + "\n";
      left_out.places.push_back(std::move(problem.where));
    }
  }
  set.problems = std::move(kept);
  if (!left_out.places.empty()) left_out.digest = storage::Sha256Hex(ids);
  return left_out;
}

}  // namespace attnrl::scheduler
