// SPDX-License-Identifier: Apache-2.0
#include "tools/show_command.h"

#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/text/tokenizer.h"
#include "tools/train/batch_text.h"

namespace attnrl::tools {
namespace {

struct Options {
  std::string run_directory;
  int64_t batch = 0;
  std::string problem;
};

absl::Status Show(const Options& options) {
  const std::string path =
      absl::StrCat(options.run_directory, "/trees/batch-", options.batch, ".jsonl");
  std::ifstream file(path);
  if (!file.is_open()) {
    return InputError(path, "there is no such batch", "the run's batches are the files in trees/");
  }
  // step-0 is never pruned and carries the tokenizer's files.
  ATTNRL_ASSIGN_OR_RETURN(const text::Tokenizer tokenizer,
                          text::Tokenizer::Load(options.run_directory + "/checkpoints/step-0"));
  const DecodeIds decode = [&tokenizer](const std::vector<int32_t>& ids) {
    return tokenizer.Decode(ids);
  };
  int64_t number = 0;
  bool shown = false;
  for (std::string line; std::getline(file, line);) {
    ++number;
    const std::string where = absl::StrCat(path, ":", number);
    const nlohmann::json problem = nlohmann::json::parse(line, nullptr, false);
    if (!problem.is_object())
      return InputError(where, "is not a JSON object", "a problem's record");
    if (!options.problem.empty() &&
        problem.value("problem_id", nlohmann::json()) != options.problem) {
      continue;
    }
    const absl::StatusOr<std::string> text = ProblemText(problem, decode);
    if (!text.ok()) return Annotate(text.status(), where);
    std::cout << (shown ? "\n" : "") << *text;
    shown = true;
  }
  std::cout << std::flush;
  if (!shown)
    return InputError("--problem", absl::StrCat("no problem ", options.problem, " in ", path),
                      "an id of that batch");
  return absl::OkStatus();
}

}  // namespace

void AddShowCommand(CLI::App& app, Work* run) {
  CLI::App* command =
      app.add_subcommand("show", "Prompts, responses and verdicts of a batch as text");
  auto options = std::make_shared<Options>();
  command->add_option("RUN_DIR", options->run_directory, "The run's directory")->required();
  command->add_option("--batch", options->batch, "Number of the batch, from 0")
      ->required()
      ->check(CLI::NonNegativeNumber);
  command->add_option("--problem", options->problem, "Only the problem with this id");
  command->footer("Example:\n  attnrl show runs/quickstart --batch 39");
  command->callback([options, run] { *run = [options] { return Show(*options); }; });
}

}  // namespace attnrl::tools
