// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/data_check.h"

#include <algorithm>
#include <cstdint>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "common/data_set/overlap.h"
#include "services/branch_scheduler/assemble.h"
#include "services/branch_scheduler/data_set.h"
#include "tools/attnrl/train/answer_check.h"

namespace attnrl::tools {
namespace {

// What is shown of a prompt, in bytes: as much of its end that a suffix and the open turn of a chat
// template are seen.
constexpr size_t kShownBegin = 500;
constexpr size_t kShownEnd = 250;
// Of the accepted answers.
constexpr size_t kShownAnswers = 5;
constexpr size_t kShownAnswer = 80;

// `at`, or the nearest place before it where a character of UTF-8 begins.
size_t CharacterAt(std::string_view text, size_t at) {
  while (at > 0 && at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80) --at;
  return at;
}

std::string Shortened(std::string_view text) {
  if (text.size() <= kShownBegin + kShownEnd) return std::string(text);
  const size_t begin = CharacterAt(text, kShownBegin);
  const size_t end = CharacterAt(text, text.size() - kShownEnd);
  return absl::StrCat(std::string(text.substr(0, begin)), " [... ", end - begin,
                      " bytes are not shown ...] ", std::string(text.substr(end)));
}

std::string Summary(const scheduler::DataSet& set) {
  size_t longest = 0;
  size_t total = 0;
  for (const scheduler::DataProblem& problem : set.problems) {
    longest = std::max(longest, problem.prompt_ids.size());
    total += problem.prompt_ids.size();
  }
  return absl::StrFormat("%d problems, prompts of %d tokens on average, %d at most",
                         set.problems.size(), total / set.problems.size(), longest);
}

absl::Status WarnOfOverlap(const config::Data& data, int64_t problems, DataReport* report) {
  if (data.eval.empty()) return absl::OkStatus();
  ATTNRL_ASSIGN_OR_RETURN(const data_set::Overlap overlap,
                          data_set::FindOverlap(data.train, scheduler::TrainingFields(data),
                                                data.eval, scheduler::EvaluationFields(data)));
  if (overlap.problems == 0) return absl::OkStatus();
  report->warnings.push_back(
      absl::StrCat(overlap.problems, " of ", problems,
                   " training problems also stand in an evaluation set; the first one is at ",
                   overlap.training, " and at ", overlap.evaluation));
  return absl::OkStatus();
}

// Has the graders read every accepted answer of a set.
absl::Status ReadAnswers(const config::Data& data, const data_set::FieldNames& names,
                         const std::string& path, const std::string& binary_folder,
                         DataReport* report) {
  ATTNRL_ASSIGN_OR_RETURN(const AnswerReport answers,
                          CheckAnswers(path, names, data.grader, binary_folder));
  if (answers.text_only == 0) return absl::OkStatus();
  report->warnings.push_back(
      absl::StrCat(answers.text_only, " of ", answers.answers, " accepted answers of ", path,
                   " are compared as mere text, so that only their own spelling is right; the "
                   "first one is at ",
                   answers.first_text_only));
  return absl::OkStatus();
}

}  // namespace

std::string ProblemText(const data_set::Problem& problem, std::string_view prompt) {
  std::string out = absl::StrCat(problem.where, ", id \"", OneLine(problem.id, kShownAnswer),
                                 "\", is asked as\n");
  for (const std::string& line :
       std::vector<std::string>(absl::StrSplit(Shortened(prompt), '\n'))) {
    // Cut already: an escaped byte has four.
    absl::StrAppend(&out, "        |", line.empty() ? "" : " ", OneLine(line, 4 * line.size()),
                    "\n");
  }
  const std::vector<std::string>& answers = problem.answers.texts;
  absl::StrAppend(&out, "        and graded by \"", OneLine(problem.answers.field, kShownAnswer),
                  "\": ");
  for (size_t i = 0; i < std::min(answers.size(), kShownAnswers); ++i) {
    absl::StrAppend(&out, i == 0 ? "" : " or ", OneLine(answers[i], kShownAnswer));
  }
  if (answers.size() > kShownAnswers) {
    absl::StrAppend(&out, " or ", answers.size() - kShownAnswers, " more");
  }
  return absl::StrCat(out, "\n");
}

absl::StatusOr<DataReport> CheckData(const config::Config& config,
                                     const std::string& binary_folder) {
  ATTNRL_ASSIGN_OR_RETURN(const std::unique_ptr<scheduler::ModelText> text,
                          scheduler::ModelText::Load(config));
  const scheduler::PromptEncoder encode = [&text](const data_set::Question& question) {
    return text->EncodePrompt(question);
  };
  const auto limit = static_cast<uint32_t>(config.rollout.max_prompt_tokens);
  const config::Data& data = config.data;
  DataReport report;
  int64_t problems = 0;
  {
    ATTNRL_ASSIGN_OR_RETURN(const scheduler::DataSet train,
                            scheduler::LoadDataSet("data.train", data.train,
                                                   scheduler::TrainingFields(data), limit, encode));
    report.summary = Summary(train);
    if (train.skipped > 0) {
      report.warnings.push_back(absl::StrCat(
          train.skipped, train.skipped == 1 ? " record" : " records", " of ", data.train,
          " can't be used and ", train.skipped == 1 ? "is" : "are", " left out"));
    }
    problems = static_cast<int64_t>(train.problems.size());
  }
  for (const std::string& path : data.eval) {
    ATTNRL_RETURN_IF_ERROR(
        scheduler::LoadDataSet("data.eval", path, scheduler::EvaluationFields(data), limit, encode)
            .status());
  }
  ATTNRL_ASSIGN_OR_RETURN(const data_set::Problem first,
                          data_set::FirstProblem(data.train, scheduler::TrainingFields(data)));
  ATTNRL_ASSIGN_OR_RETURN(const std::string prompt, text->PromptText(first.question));
  report.first = ProblemText(first, prompt);
  ATTNRL_RETURN_IF_ERROR(WarnOfOverlap(data, problems, &report));
  ATTNRL_RETURN_IF_ERROR(
      ReadAnswers(data, scheduler::TrainingFields(data), data.train, binary_folder, &report));
  for (const std::string& path : data.eval) {
    ATTNRL_RETURN_IF_ERROR(
        ReadAnswers(data, scheduler::EvaluationFields(data), path, binary_folder, &report));
  }
  return report;
}

}  // namespace attnrl::tools
