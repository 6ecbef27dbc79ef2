// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "common/base/status.h"
#include "common/storage/jsonl.h"
#include "tools/attnrl/command.h"
#include "tools/attnrl/task/model_recipe.h"
#include "tools/attnrl/task/task_generator.h"
#include "tools/attnrl/task/word_problems.h"

namespace attnrl::tools {
namespace {

struct Options {
  std::optional<int64_t> count;
  uint64_t seed = 0;
  int64_t max_definitions = kMaxDefinitions;
  std::string kind = "keys";
  std::string split = "eval";
  std::string output = "-";
  std::string model_recipe;
};

absl::Status MakeTask(const Options& options) {
  if (!options.model_recipe.empty()) {
    ATTNRL_RETURN_IF_ERROR(WriteModelRecipe(options.model_recipe));
    if (!options.count) return absl::OkStatus();
  }
  if (!options.count) {
    return InputError("--count", "is missing", "the number of problems is needed");
  }
  ATTNRL_ASSIGN_OR_RETURN(const TaskSplit split, ParseTaskSplit(options.split));
  ATTNRL_ASSIGN_OR_RETURN(storage::JsonLinesWriter writer,
                          storage::JsonLinesWriter::Open(options.output));
  for (uint32_t index = 0; index < *options.count; ++index) {
    ATTNRL_RETURN_IF_ERROR(writer.Write(
        TaskRecord(options.kind == "words"
                       ? GenerateWordProblem(split, options.seed, index)
                       : GenerateTask(split, options.seed, index, options.max_definitions))));
  }
  return writer.Close();
}

}  // namespace

// `attnrl make-task`: problems of the embedded task as a data set.
void AddMakeTaskCommand(Command& app, Work* run) {
  Command& command = app.AddCommand("make-task", "Make problems of the embedded task");
  auto options = std::make_shared<Options>();
  command.Add("--count", &options->count, "Number of problems to make").Between(1, 10'000'000);
  command
      .Add("--kind", &options->kind,
           "keys: programs modulo 11; words: arithmetic word problems for chat models")
      .OneOf({"keys", "words"});
  command.Add("--seed", &options->seed, "Seed; another seed makes other problems");
  command
      .Add("--max-definitions", &options->max_definitions,
           "Maximum number of definitions in a program of the kind keys")
      .Between(kMinDefinitions, kMaxDefinitions);
  command.Add("--split", &options->split,
              "train or eval; a hash of the content keeps them disjoint, whatever the seeds");
  command.Add("--output", &options->output, "File for the data set; - is stdout");
  command.Add("--model-recipe", &options->model_recipe,
              "Folder for the embedded model's configuration and tokenizer");
  command.Footer(
      "A problem is {\"id\",\"prompt\",\"answers\",\"source\",\"response\"}, response a worked "
      "solution for attnrl sft. The same seed gives the same bytes.\nExample:\n  attnrl make-task "
      "--count 200 --seed 1 --output eval.jsonl");
  command.WhenChosen([options, run] { *run = [options] { return MakeTask(*options); }; });
}

}  // namespace attnrl::tools
