// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/answer_check.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "common/data_set/problems.h"
#include "services/verifier/process/grader_pool.h"

namespace attnrl::tools {
namespace {

// Problems that are sent to the graders at once.
constexpr size_t kBatch = 256;

// Collects problems, and has them checked in batches.
class AnswerCheck {
 public:
  AnswerCheck(verifier::GraderPool& pool, const std::string& default_grader, bool skip_bad,
              AnswerReport* report)
      : pool_(pool), default_grader_(default_grader), skip_bad_(skip_bad), report_(report) {}

  absl::Status Add(data_set::Problem problem) {
    if (!verifier::IsGrader(problem.grader)) {
      return InputError(
          problem.where,
          absl::StrCat("field \"grader\" holds \"", OneLine(problem.grader, 40), "\""),
          absl::StrCat("graders are ", absl::StrJoin(verifier::kGraders, ", ")));
    }
    verifier::GradeRequest request;
    request.id = std::move(problem.id);
    request.answers = std::move(problem.answers.texts);
    request.grader = problem.grader.empty() ? default_grader_ : std::move(problem.grader);
    request.check = true;
    places_.push_back(std::move(problem.where));
    requests_.push_back(std::move(request));
    return requests_.size() < kBatch ? absl::OkStatus() : Flush();
  }

  absl::Status Flush() {
    if (requests_.empty()) return absl::OkStatus();
    ATTNRL_ASSIGN_OR_RETURN(const std::vector<verifier::GradeResult> results,
                            pool_.Grade(requests_));
    for (size_t i = 0; i < results.size(); ++i) {
      ATTNRL_RETURN_IF_ERROR(Take(places_[i], requests_[i], results[i]));
    }
    places_.clear();
    requests_.clear();
    return absl::OkStatus();
  }

 private:
  absl::Status Take(const std::string& where, const verifier::GradeRequest& request,
                    const verifier::GradeResult& result) {
    for (size_t i = 0; i < request.answers.size(); ++i) {
      // A grader that died over it has no letters.
      const char kind = i < result.explanation.size()
                            ? result.explanation[i]
                            : static_cast<char>(verifier::AnswerKind::kUnmatchable);
      if (kind == static_cast<char>(verifier::AnswerKind::kUnmatchable)) {
        if (skip_bad_) {
          report_->unmatchable.push_back(where);
          report_->unmatchable_ids.insert(request.id);
          return absl::OkStatus();
        }
        return InputError(where,
                          absl::StrCat("accepted answer \"", OneLine(request.answers[i], 80),
                                       "\" can be matched by no response"),
                          "an answer that the grader can read is needed");
      }
      ++report_->answers;
      if (kind != static_cast<char>(verifier::AnswerKind::kText)) continue;
      if (report_->text_only++ == 0) report_->first_text_only = where;
    }
    return absl::OkStatus();
  }

  verifier::GraderPool& pool_;
  const std::string& default_grader_;
  const bool skip_bad_;
  AnswerReport* const report_;
  std::vector<std::string> places_;
  std::vector<verifier::GradeRequest> requests_;
};

absl::Status IgnoreCancelled(const absl::Status& status) {
  return absl::IsCancelled(status) ? absl::OkStatus() : status;
}

}  // namespace

absl::StatusOr<AnswerReport> CheckAnswers(const std::string& path,
                                          const data_set::FieldNames& names,
                                          const std::string& default_grader,
                                          const std::string& binary_folder) {
  if (!verifier::IsGrader(default_grader)) {
    return InputError("data.grader", absl::StrCat("\"", OneLine(default_grader, 40), "\""),
                      absl::StrCat("graders are ", absl::StrJoin(verifier::kGraders, ", ")));
  }
  verifier::GraderPoolOptions options;
  options.binary = binary_folder + "/attnrl-grader";
  ATTNRL_ASSIGN_OR_RETURN(const std::unique_ptr<verifier::GraderPool> pool,
                          verifier::GraderPool::Start(options));
  AnswerReport report;
  AnswerCheck check(*pool, default_grader, names.skip_bad, &report);
  // Kept aside, so that skip_bad doesn't take it for the fault of the record that is read then.
  absl::Status checked;
  ATTNRL_RETURN_IF_ERROR(
      IgnoreCancelled(data_set::ReadProblems(path, names, [&](data_set::Problem problem) {
        checked = check.Add(std::move(problem));
        return checked.ok() ? absl::OkStatus() : absl::CancelledError();
      })));
  ATTNRL_RETURN_IF_ERROR(checked);
  ATTNRL_RETURN_IF_ERROR(check.Flush());
  return report;
}

}  // namespace attnrl::tools
