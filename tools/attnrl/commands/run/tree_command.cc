// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/config/config.h"
#include "common/storage/files.h"
#include "common/text/steps.h"
#include "common/text/tokenizer.h"
#include "tools/attnrl/command.h"
#include "tools/attnrl/tree/batch_file.h"
#include "tools/attnrl/tree/explanations.h"
#include "tools/attnrl/tree/page.h"
#include "tools/attnrl/tree/record.h"

namespace attnrl::tools {
namespace {

struct Options {
  std::string run_directory;
  int64_t batch = 0;
  std::string problem;
  std::string model;  // folder with the tokenizer; empty: that of the run's checkpoints
  std::string output = "-";
};

absl::Status Tree(const Options& options) {
  ATTNRL_ASSIGN_OR_RETURN(const std::string path, BatchFile(options.run_directory, options.batch));
  ATTNRL_ASSIGN_OR_RETURN(nlohmann::json record, FindProblem(path, options.problem));
  ATTNRL_ASSIGN_OR_RETURN(const text::Tokenizer tokenizer,
                          TokenizerOf(options.run_directory, options.model));
  const auto config = config::Load(options.run_directory + "/config.yaml", {}, {});
  const text::StepSegmenter segmenter(
      tokenizer, config.ok() ? config->algorithm.branching.steps : StepCut::kParagraph);
  const TreeText text = {
      .decode = [&](const std::vector<int32_t>& ids) { return tokenizer.Decode(ids); },
      .steps =
          [&](int64_t prompt_tokens, std::span<const int32_t> response) {
            return segmenter.Segment(prompt_tokens, response);
          }};
  // Without the run's configuration or data set the page has no reasons, and is a page all the
  // same.
  const std::string binaries =
      std::filesystem::read_symlink("/proc/self/exe").parent_path().string();
  if (auto explanations = Explanations::Open(options.run_directory, binaries); explanations.ok()) {
    ATTNRL_RETURN_IF_ERROR(Annotate((*explanations)->AddTo(&record, text.decode),
                                    absl::StrCat(path, ", problem ", options.problem)));
  }
  const absl::StatusOr<TreeProblem> problem = ReadTreeProblem(record, text);
  if (!problem.ok()) {
    return Annotate(problem.status(), absl::StrCat(path, ", problem ", options.problem));
  }
  const std::string page = TreePage(*problem, path);
  if (options.output == "-") {
    std::cout << page << std::flush;
    return absl::OkStatus();
  }
  ATTNRL_RETURN_IF_ERROR(storage::WriteFileAtomically(options.output, page));
  std::cerr << "written to " << options.output << "; open it in a browser" << std::endl;
  return absl::OkStatus();
}

}  // namespace

// `attnrl tree`: the tree of one problem as a page for the browser.
void AddTreeCommand(Command& app, Work* run) {
  Command& command = app.AddCommand("tree", "Write the tree of one problem as an HTML page");
  auto options = std::make_shared<Options>();
  command.Add("RUN_DIR", &options->run_directory, "Directory of the run, or its records")
      .Required();
  command.Add("--batch", &options->batch, "Number of the batch, from 0").Required().AtLeastZero();
  command.Add("--problem", &options->problem, "Id of the problem").Required();
  command.Add("--model", &options->model,
              "Model folder whose tokenizer is taken where the run's checkpoints are elsewhere");
  command.Add("--output", &options->output, "File for the page; - is stdout").Writable();
  command.Footer(
      "The page is one self-contained file: responses step by step, shaded by FCI, their branch "
      "points and continuations, rewards and advantages.\n"
      "Example:\n  attnrl tree runs/quickstart --batch 39 --problem keys-train-1-2405 --output "
      "tree.html");
  command.WhenChosen([options, run] { *run = [options] { return Tree(*options); }; });
}

}  // namespace attnrl::tools
