// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iostream>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/data_set/fields.h"
#include "common/json/json.h"
#include "common/storage/files.h"
#include "services/verifier/process/grader_pool.h"
#include "services/verifier/types.h"
#include "tools/attnrl/command.h"
#include "tools/attnrl/progress.h"
#include "tools/attnrl/sampling/eval_set.h"
#include "tools/attnrl/sampling/model_flags.h"
#include "tools/attnrl/sampling/sampling_flags.h"
#include "tools/attnrl/sampling/sampling_run.h"

namespace attnrl::tools {
namespace {

// Responses handed to the graders in one go.
constexpr size_t kGradeAtOnce = 64;

struct Flags {
  ModelFlags model;
  SamplingFlags sampling = {.temperature = 0.6};
  std::vector<std::string> data;
  std::vector<std::string> fields;  // "answer=NAME"
  std::string prompt_suffix;
  std::string chat = "auto";
  std::string grader = "math";
  std::string output;
};

// What --field says of the names.
absl::StatusOr<data_set::FieldNames> FieldsOf(const std::vector<std::string>& flags) {
  data_set::FieldNames names{.setting = "--field "};
  const std::pair<std::string_view, std::string*> roles[] = {
      {"question", &names.question}, {"answer", &names.answer}, {"id", &names.id}};
  for (const std::string& flag : flags) {
    const size_t equals = std::min(flag.find('='), flag.size());
    const auto* role = std::find_if(std::begin(roles), std::end(roles), [&](const auto& each) {
      return each.first == std::string_view(flag).substr(0, equals);
    });
    if (role == std::end(roles) || equals + 1 >= flag.size()) {
      return InputError("--field", absl::StrCat("is \"", OneLine(flag, 80), "\""),
                        "question=NAME, answer=NAME or id=NAME");
    }
    *role->second = flag.substr(equals + 1);
  }
  return names;
}

absl::StatusOr<std::vector<EvalSet>> ReadSets(const Flags& flags, const data_set::FieldNames& names,
                                              const ModelFolder& folder) {
  PromptReader reader({.model_dir = flags.model.model,
                       .chat_template = flags.model.chat_template,
                       .suffix = flags.prompt_suffix,
                       .chat = flags.chat == "auto",
                       .context = folder.config.max_position_embeddings,
                       .vocabulary = folder.config.vocab_size},
                      folder.tokenizer);
  std::vector<EvalSet> sets;
  std::set<std::string> taken;
  for (const std::string& file : flags.data) {
    ATTNRL_ASSIGN_OR_RETURN(EvalSet set, ReadEvalSet(file, names, flags.grader, reader));
    if (!taken.insert(set.name).second) {
      return InputError("--data", absl::StrCat("two sets named ", set.name),
                        "files of different names are needed");
    }
    sets.push_back(std::move(set));
  }
  return sets;
}

// Grades responses a few at a time and counts.
class Grading {
 public:
  Grading(const EvalSet& set, const ModelFolder& folder, verifier::GraderPool& graders,
          EvalTally* tally)
      : set_(set), folder_(folder), graders_(graders), tally_(*tally) {}

  absl::Status Add(size_t index, const rollout::Completion& completion) {
    const size_t problem = index / static_cast<size_t>(tally_.samples);
    tally_.response_tokens += static_cast<int64_t>(completion.token_ids.size());
    if (completion.finish == rollout::FinishReason::kLength) ++tally_.truncated;
    requests_.push_back({absl::StrCat(problem), folder_.tokenizer.Decode(completion.token_ids),
                         set_.answers[problem], set_.graders[problem]});
    problems_.push_back(problem);
    return requests_.size() < kGradeAtOnce ? absl::OkStatus() : Flush();
  }

  absl::Status Flush() {
    if (requests_.empty()) return absl::OkStatus();
    ATTNRL_ASSIGN_OR_RETURN(const auto results, graders_.Grade(requests_));
    for (size_t i = 0; i < results.size(); ++i) {
      if (results[i].correct) ++tally_.correct[problems_[i]];
      if (!verifier::IsVerdict(results[i].status)) ++tally_.unverified;
    }
    requests_.clear();
    problems_.clear();
    return absl::OkStatus();
  }

 private:
  const EvalSet& set_;
  const ModelFolder& folder_;
  verifier::GraderPool& graders_;
  EvalTally& tally_;
  std::vector<verifier::GradeRequest> requests_;
  std::vector<size_t> problems_;
};

absl::StatusOr<EvalResult> Measure(const EvalSet& set, SamplingJob job, const ModelFolder& folder,
                                   rollout::Engine& engine, verifier::GraderPool& graders) {
  job.prompts = set.prompts;
  EvalTally tally(set, job.samples);
  Grading grading(set, folder, graders, &tally);
  Progress progress(
      {.what = absl::StrCat("set ", set.name), .total = static_cast<int64_t>(job.size())});
  ATTNRL_RETURN_IF_ERROR(RunSampling(
      engine, job, folder.config.max_position_embeddings, progress,
      [&](size_t index, const rollout::Completion& result) { return grading.Add(index, result); }));
  ATTNRL_RETURN_IF_ERROR(grading.Flush());
  progress.Finish();
  if (tally.unverified > 0) {
    std::cerr << set.name << ": " << tally.unverified
              << " responses without a verdict, counted as wrong" << std::endl;
  }
  return Summarise(tally);
}

absl::Status Run(const Flags& flags) {
  ATTNRL_RETURN_IF_ERROR(CheckSamplingFlags(flags.sampling));
  ATTNRL_ASSIGN_OR_RETURN(const data_set::FieldNames names, FieldsOf(flags.fields));
  ATTNRL_ASSIGN_OR_RETURN(const ModelFolder folder, OpenModelFolder(flags.model));
  ATTNRL_ASSIGN_OR_RETURN(const std::vector<EvalSet> sets, ReadSets(flags, names, folder));
  verifier::GraderPoolOptions grader_options;
  grader_options.children = std::min(2, folder.threads);
  ATTNRL_ASSIGN_OR_RETURN(const auto graders, verifier::GraderPool::Start(grader_options));
  SamplingJob job = MakeJob(flags.sampling);
  job.stop_ids = folder.end_tokens;
  SamplingJob all = job;  // the engine has room for the longest of all sets
  for (const EvalSet& set : sets) {
    all.prompts.insert(all.prompts.end(), set.prompts.begin(), set.prompts.end());
  }
  ATTNRL_ASSIGN_OR_RETURN(const std::unique_ptr<rollout::Engine> engine,
                          StartEngine(flags.model, folder, all));
  std::vector<EvalResult> results;
  for (const EvalSet& set : sets) {
    ATTNRL_ASSIGN_OR_RETURN(EvalResult result, Measure(set, job, folder, *engine, *graders));
    results.push_back(std::move(result));
  }
  const std::string json = PrintJson(EvalJson(results), 2) + "\n";
  if (flags.output == "-") {
    std::cerr << EvalTable(results);
    std::cout << json << std::flush;
    return absl::OkStatus();
  }
  std::cout << EvalTable(results) << std::flush;
  return flags.output.empty() ? absl::OkStatus() : storage::WriteFileAtomically(flags.output, json);
}

}  // namespace

void AddEvalCommand(Command& app, Work* run) {
  auto flags = std::make_shared<Flags>();
  Command& command = app.AddCommand("eval", "Measure a model's accuracy on data sets");
  AddModelFlags(command, &flags->model);
  command.Add("--data", &flags->data, "Data sets to measure on (JSON Lines or a JSON list)")
      .Required();
  command
      .Add("--field", &flags->fields,
           "Name of a field that is not recognised: question=NAME, answer=NAME or id=NAME; "
           "repeatable")
      .Repeatable();
  AddSamplingFlags(command, &flags->sampling);
  command.Add("--prompt-suffix", &flags->prompt_suffix, "Text appended to every prompt");
  command
      .Add("--chat", &flags->chat,
           "What becomes of a prompt that is a text: a user's message in the chat template where "
           "the model has one (auto), or nothing (raw)")
      .OneOf({"auto", "raw"});
  command
      .Add("--grader", &flags->grader,
           "How answers are compared, where a record has no field \"grader\"")
      .OneOf({std::begin(verifier::kGraders), std::end(verifier::kGraders)});
  command.Add("--output", &flags->output, "File for the figures, in addition to the table (JSON)")
      .Writable();
  command.Footer(
      "Records: {\"prompt\" | \"messages\" | \"problem\" | \"question\", \"answer\" | "
      "\"answers\"}, "
      "as published sets have\nthem (GSM8K, MATH-500, AIME, DAPO-Math-17k, ...). pass@k takes k = "
      "--samples.\nExamples:\n  attnrl eval --model DIR --data math500.jsonl --samples 4 --output "
      "r.json\n  attnrl eval --model DIR --data mine.json --field answer=reward.gold");
  command.WhenChosen([flags, run] { *run = [flags] { return Run(*flags); }; });
}

}  // namespace attnrl::tools
