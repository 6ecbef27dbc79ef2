// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/unreadable.h"

#include <algorithm>
#include <cstddef>
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

// Asks about as many at once as a slow verifier is done with in time.
class Asker {
 public:
  Asker(verifier::VerifierClient& verifier, const std::function<bool(absl::Duration)>& stop)
      : verifier_(verifier), stop_(stop) {}

  absl::StatusOr<std::vector<verifier::GradeResult>> Ask(
      std::span<const verifier::GradeRequest> requests) {
    std::vector<verifier::GradeResult> all;
    while (!requests.empty()) {
      const size_t count = std::min(at_once_, requests.size());
      const auto results =
          verifier_.Verify({requests.begin(), requests.begin() + count}, kDeadline);
      if (results.ok()) {
        all.insert(all.end(), results->begin(), results->end());
        requests = requests.subspan(count);
        continue;
      }
      if (!IsAway(results.status())) return results.status();
      if (!told_) {
        observe::LogWarning("waiting for the verifier to read the accepted answers",
                            {{"error", std::string(results.status().message())}});
        told_ = true;
      }
      const bool slow = absl::IsDeadlineExceeded(results.status()) && count > 1;
      if (slow) at_once_ = count / 2;
      if (stop_(slow ? absl::ZeroDuration() : kRetry)) {
        return absl::CancelledError("the scheduler stops");
      }
    }
    return all;
  }

 private:
  verifier::VerifierClient& verifier_;
  const std::function<bool(absl::Duration)>& stop_;
  size_t at_once_ = kBatch;
  bool told_ = false;
};

}  // namespace

absl::StatusOr<LeftOut> LeaveOutUnreadable(const std::string& grader,
                                           verifier::VerifierClient& verifier,
                                           const std::function<bool(absl::Duration)>& stop,
                                           DataSet& set) {
  LeftOut left_out;
  std::string ids;
  std::vector<DataProblem> kept;
  Asker asker(verifier, stop);
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
    ATTNRL_ASSIGN_OR_RETURN(const std::vector<verifier::GradeResult> results, asker.Ask(requests));
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
