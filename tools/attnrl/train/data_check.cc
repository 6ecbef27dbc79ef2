// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/data_check.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
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

// Of the problems that a run takes.
struct Lengths {
  int64_t problems = 0;
  size_t total = 0;
  size_t longest = 0;
};

Lengths LengthsOf(const scheduler::DataSet& set, const AnswerReport& answers) {
  Lengths lengths;
  for (const scheduler::DataProblem& problem : set.problems) {
    if (answers.unmatchable_ids.contains(problem.id)) continue;
    ++lengths.problems;
    lengths.longest = std::max(lengths.longest, problem.prompt_ids.size());
    lengths.total += problem.prompt_ids.size();
  }
  return lengths;
}

std::string Summary(const Lengths& lengths) {
  return absl::StrFormat("%d problems, prompts of %d tokens on average, %d at most",
                         lengths.problems, lengths.total / static_cast<size_t>(lengths.problems),
                         lengths.longest);
}

// "a, b and 7 more"
std::string FirstOf(const std::vector<std::string>& places) {
  constexpr size_t kShown = 3;
  const size_t shown = std::min(kShown, places.size());
  std::string text =
      absl::StrJoin(places.begin(), places.begin() + static_cast<std::ptrdiff_t>(shown), ", ");
  if (places.size() > shown) absl::StrAppend(&text, " and ", places.size() - shown, " more");
  return text;
}

// Under whatever ids: a problem counts as often as it stands there.
void WarnOfRepeated(const scheduler::DataSet& set, const AnswerReport& answers,
                    DataReport* report) {
  std::set<std::string_view> prompts;
  std::string first;
  size_t repeated = 0;
  for (const scheduler::DataProblem& problem : set.problems) {
    if (answers.unmatchable_ids.contains(problem.id)) continue;
    const std::string_view bytes(reinterpret_cast<const char*>(problem.prompt_ids.data()),
                                 problem.prompt_ids.size() * sizeof(problem.prompt_ids[0]));
    if (prompts.insert(bytes).second) continue;
    if (repeated++ == 0) first = problem.id;
  }
  if (repeated == 0) return;
  report->warnings.push_back(absl::StrCat(
      repeated, " of ", prompts.size() + repeated,
      " training problems repeat the question of an earlier one, so that ", prompts.size(),
      " differ; the first one has the id \"", OneLine(first, kShownAnswer), "\""));
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

scheduler::PromptEncoder EncoderOf(scheduler::ModelText& text) {
  return [&text](const data_set::Question& question) { return text.EncodePrompt(question); };
}

// Has the graders read every accepted answer of a set.
absl::StatusOr<AnswerReport> ReadAnswers(const config::Data& data, const std::string& path,
                                         const std::string& binary_folder, DataReport* report) {
  const bool training = path == data.train;
  ATTNRL_ASSIGN_OR_RETURN(
      AnswerReport answers,
      CheckAnswers(path,
                   training ? scheduler::TrainingFields(data) : scheduler::EvaluationFields(data),
                   data.grader, binary_folder));
  if (!answers.unmatchable.empty()) {
    const bool one = answers.unmatchable.size() == 1;
    report->warnings.push_back(absl::StrCat(answers.unmatchable.size(),
                                            one ? " record has" : " records have",
                                            " an accepted answer that no response can match",
                                            !training ? ""
                                            : one     ? ", and is left out"
                                                      : ", and are left out",
                                            ": ", FirstOf(answers.unmatchable)));
  }
  if (answers.text_only == 0) return answers;
  report->warnings.push_back(
      absl::StrCat(answers.text_only, " of ", answers.answers, " accepted answers of ", path,
                   " are compared as mere text, so that only their own spelling is right; the "
                   "first one is at ",
                   answers.first_text_only));
  return answers;
}

// Reads the training set of `data`, has its answers read, and shows its first problem.
absl::StatusOr<Lengths> CheckTrainingSet(const config::Data& data, uint32_t limit,
                                         scheduler::ModelText& text,
                                         const std::string& binary_folder, DataReport* report) {
  AnswerReport answers;
  Lengths lengths;
  {
    ATTNRL_ASSIGN_OR_RETURN(
        const scheduler::DataSet train,
        scheduler::LoadDataSet("data.train", data.train, scheduler::TrainingFields(data), limit,
                               EncoderOf(text)));
    if (train.skipped > 0) {
      report->warnings.push_back(absl::StrCat(
          train.skipped, train.skipped == 1 ? " record" : " records", " of ", data.train,
          " can't be used and ", train.skipped == 1 ? "is" : "are", " left out"));
    }
    ATTNRL_ASSIGN_OR_RETURN(answers, ReadAnswers(data, data.train, binary_folder, report));
    lengths = LengthsOf(train, answers);
    WarnOfRepeated(train, answers, report);
  }
  if (lengths.problems == 0) {
    return InputError(data.train, "no record has an accepted answer that a response can match",
                      "at least one is needed");
  }
  ATTNRL_ASSIGN_OR_RETURN(
      const data_set::Problem first,
      data_set::FirstProblem(data.train, scheduler::TrainingFields(data), answers.unmatchable_ids));
  ATTNRL_ASSIGN_OR_RETURN(const std::string prompt, text.PromptText(first.question));
  absl::StrAppend(&report->first, report->first.empty() ? "" : "        ",
                  ProblemText(first, prompt));
  return lengths;
}

// Without this token among the end tokens, responses go on behind the answer until they are cut.
void WarnOfEndOfTurn(const scheduler::ModelText& text, const std::vector<int32_t>& end_tokens,
                     DataReport* report) {
  const std::optional<int32_t> end = text.EndOfTurn();
  if (!end.has_value()) return;
  if (std::find(end_tokens.begin(), end_tokens.end(), *end) != end_tokens.end()) return;
  report->warnings.push_back(
      absl::StrCat("the chat template ends a turn with ",
                   OneLine(text.Tools().decode({*end}), kShownAnswer), " (token ", *end,
                   "), which is none of the model's end tokens (", absl::StrJoin(end_tokens, ", "),
                   "); eos_token_id of generation_config.json should name it too"));
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
                                     const std::vector<int32_t>& end_tokens,
                                     const std::string& binary_folder) {
  ATTNRL_ASSIGN_OR_RETURN(const std::unique_ptr<scheduler::ModelText> text,
                          scheduler::ModelText::Load(config));
  const auto limit = static_cast<uint32_t>(config.rollout.max_prompt_tokens);
  const std::vector<config::TrainingSet> sets = config::TrainingSets(config);
  DataReport report;
  std::vector<std::string> refused;
  std::vector<int64_t> problems;
  for (const config::TrainingSet& set : sets) {
    const size_t warned = report.warnings.size();
    const config::Data data = config::AtStep(config, set.from_step).data;
    const absl::StatusOr<Lengths> lengths =
        CheckTrainingSet(data, limit, *text, binary_folder, &report);
    if (!lengths.ok()) {
      if (!IsInputError(lengths.status())) return lengths.status();
      refused.emplace_back(lengths.status().message());
      continue;
    }
    const std::string use =
        set.from_step == 0 ? set.path : absl::StrCat("from step ", set.from_step, " on ", set.path);
    problems.push_back(lengths->problems);
    absl::StrAppend(&report.summary, report.summary.empty() ? "" : "\n        ",
                    sets.size() > 1 ? use + ": " : "", Summary(*lengths));
    report.longest_prompt = std::max(report.longest_prompt, static_cast<int64_t>(lengths->longest));
    if (sets.size() == 1) continue;
    for (size_t i = warned; i < report.warnings.size(); ++i) {
      report.warnings[i] = absl::StrCat(use, ": ", report.warnings[i]);
    }
  }
  if (!refused.empty()) return absl::InvalidArgumentError(absl::StrJoin(refused, "; and "));
  const config::Data& data = config.data;
  for (const std::string& path : data.eval) {
    ATTNRL_RETURN_IF_ERROR(scheduler::LoadDataSet("data.eval", path,
                                                  scheduler::EvaluationFields(data), limit,
                                                  EncoderOf(*text))
                               .status());
  }
  WarnOfEndOfTurn(*text, end_tokens, &report);
  for (size_t i = 0; i < sets.size(); ++i) {
    ATTNRL_RETURN_IF_ERROR(
        WarnOfOverlap(config::AtStep(config, sets[i].from_step).data, problems[i], &report));
  }
  for (const std::string& path : data.eval) {
    ATTNRL_RETURN_IF_ERROR(ReadAnswers(data, path, binary_folder, &report).status());
  }
  return report;
}

}  // namespace attnrl::tools
