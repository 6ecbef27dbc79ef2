// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/json/json.h"
#include "common/storage/jsonl.h"
#include "common/text/tokenizer.h"
#include "tools/attnrl/command.h"
#include "tools/attnrl/train/batch_text.h"
#include "tools/attnrl/tree/batch_file.h"
#include "tools/attnrl/tree/explanations.h"

namespace attnrl::tools {
namespace {

struct Options {
  std::string run_directory;
  int64_t batch = 0;
  std::string problem;
  std::string model;  // folder with the tokenizer; empty: that of the run's checkpoints
  bool explain = false;
};

std::string BinaryFolder() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path().string();
}

absl::Status Show(const Options& options) {
  ATTNRL_ASSIGN_OR_RETURN(const std::string path, BatchFile(options.run_directory, options.batch));
  ATTNRL_ASSIGN_OR_RETURN(const text::Tokenizer tokenizer,
                          TokenizerOf(options.run_directory, options.model));
  const DecodeIds decode = [&tokenizer](const std::vector<int32_t>& ids) {
    return tokenizer.Decode(ids);
  };
  std::unique_ptr<Explanations> explanations;
  if (options.explain) {
    ATTNRL_ASSIGN_OR_RETURN(explanations,
                            Explanations::Open(options.run_directory, BinaryFolder()));
  }
  bool shown = false;
  std::vector<std::string> ids;
  const auto show = [&](const storage::JsonLine& line) -> absl::Status {
    nlohmann::json problem = line.value;
    const nlohmann::json id = problem.value("problem_id", nlohmann::json());
    ids.push_back(id.is_string() ? id.get<std::string>() : PrintJson(id));
    if (!options.problem.empty() && ids.back() != options.problem) return absl::OkStatus();
    if (explanations != nullptr) {
      ATTNRL_RETURN_IF_ERROR(Annotate(explanations->AddTo(&problem, decode), line.where));
    }
    const absl::StatusOr<std::string> text = ProblemText(problem, decode);
    if (!text.ok()) return Annotate(text.status(), line.where);
    std::cout << (shown ? "\n" : "") << *text;
    shown = true;
    return std::cout ? absl::OkStatus() : absl::AbortedError("standard output: writing failed");
  };
  ATTNRL_RETURN_IF_ERROR(storage::ReadJsonLines(path, /*skip_bad=*/false, nullptr, show));
  if (!shown && !options.problem.empty()) return NoSuchProblem(path, options.problem, ids);
  return absl::OkStatus();
}

}  // namespace

// `attnrl show`: what was sampled in a batch, as text.
void AddShowCommand(Command& app, Work* run) {
  Command& command = app.AddCommand("show", "Print the prompts, responses and verdicts of a batch");
  auto options = std::make_shared<Options>();
  command.Add("RUN_DIR", &options->run_directory, "Directory of the run, or its records")
      .Required();
  command.Add("--batch", &options->batch, "Number of the batch, from 0").Required().AtLeastZero();
  command.Add("--problem", &options->problem, "Print only the problem with this id");
  command.Add("--model", &options->model,
              "Model folder whose tokenizer is taken where the run's checkpoints are elsewhere");
  command.AddSwitch("--explain", &options->explain,
                    "Say of each wrong answer how it was read and which rule refused it");
  command.Footer("Example:\n  attnrl show runs/quickstart --batch 39");
  command.WhenChosen([options, run] { *run = [options] { return Show(*options); }; });
}

}  // namespace attnrl::tools
