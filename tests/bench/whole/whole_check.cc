// SPDX-License-Identifier: Apache-2.0
// Whole steps on a device, by the engine, the runner and the trainer of the services: decoding with
// and without graphs and with FCI, an update packed and leaf by leaf, and whether the tokens are
// the CPU's. Prints a table for tests/bench/gpu.md; exits 1 where a result is wrong. Weights are
// random: a folder needs a config.json alone. Flags come as key=value:
//   whole_check model=FOLDER device=cuda oracle= (data/oracle) groups=16 samples=16 prompt=1024
//     response=1024 timed=64 leaf=8192 pass=16384 fci=8192 square=8192
#include <ATen/ATen.h>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <iostream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/machine.h"
#include "common/base/status.h"
#include "common/device/device.h"
#include "services/learner/train/numerics.h"
#include "tests/bench/whole/decode_steps.h"
#include "tests/bench/whole/fci_steps.h"
#include "tests/bench/whole/random_model.h"
#include "tests/bench/whole/same_tokens.h"
#include "tests/bench/whole/update_steps.h"
#include "tests/bench/whole/whole_table.h"

namespace attnrl::bench {
namespace {

struct Flags {
  std::map<std::string, std::string> texts = {{"model", ""}, {"device", "cuda"}, {"oracle", ""}};
  std::map<std::string, int64_t> numbers = {{"groups", 16},     {"samples", 16}, {"prompt", 1024},
                                            {"response", 1024}, {"timed", 64},   {"leaf", 8192},
                                            {"pass", 16384},    {"fci", 8192},   {"square", 8192}};
};

// Prints one line and returns false for a flag that there isn't.
bool ParseFlags(int argc, char** argv, Flags* flags) {
  for (int i = 1; i < argc; ++i) {
    const std::pair<std::string, std::string> flag =
        absl::StrSplit(argv[i], absl::MaxSplits('=', 1));
    if (flags->texts.contains(flag.first)) {
      flags->texts[flag.first] = flag.second;
    } else if (!flags->numbers.contains(flag.first) ||
               !absl::SimpleAtoi(flag.second, &flags->numbers[flag.first])) {
      std::cerr << "error: " << argv[i] << ": not a setting; "
                << absl::StrJoin(flags->texts, " ", absl::PairFormatter("=")) << " "
                << absl::StrJoin(flags->numbers, " ", absl::PairFormatter("=")) << std::endl;
      return false;
    }
  }
  return true;
}

absl::Status AddSameTokens(const Flags& flags, const rollout::RunnerOptions& options,
                           WholeTable& table) {
  ATTNRL_ASSIGN_OR_RETURN(const Difference difference, CompareWithCpu(options, {}));
  table.AddCheck("sequences with other tokens than the CPU's", difference.sequences, 0);
  if (difference.positive == 0) return absl::InternalError("no FCI above zero was compared");
  table.AddCheck("FCI while decoding, against the CPU's afterwards", difference.fci, 1e-4);
  const std::string& oracle = flags.texts.at("oracle");
  for (const char* model : {"qwen2-tiny", "llama-tiny", "qwen3-tiny"}) {
    const std::string what =
        absl::StrCat(model, ", greedy continuations that aren't transformers'");
    if (oracle.empty()) {
      table.AddNote(what, "not compared, oracle= names no folder");
      continue;
    }
    ATTNRL_ASSIGN_OR_RETURN(const std::vector<OtherToken> others,
                            CompareWithOracle(options, oracle, model));
    for (const OtherToken& other : others) {
      table.AddNote(
          absl::StrCat(model, ", continuation ", other.continuation, ", position ", other.position),
          absl::StrCat(other.found, " in the place of ", other.wanted, ", whose logit is ",
                       other.gap, " greater"));
    }
    table.AddCheck(what, static_cast<double>(others.size()), 0);
  }
  return absl::OkStatus();
}

// Half as many tokens, and all: what the memory grows by.
absl::Status AddFci(const Flags& flags, const model::ModelConfig& config,
                    const model::Tensors& weights, WholeTable& table) {
  const int64_t most = flags.numbers.at("fci");
  ATTNRL_ASSIGN_OR_RETURN(const auto model, rollout::MakeModel(config, weights, false));
  FciCost half, half_eager;
  for (const int64_t tokens : {most / 2, most}) {
    ATTNRL_ASSIGN_OR_RETURN(const FciCost cost, TimeRecompute(*model, tokens));
    const FciCost eager = TimeEager(*model, tokens);
    const auto what = [&](const char* how, const FciCost& of) {
      return absl::StrFormat("FCI of %d tokens, %s, %.1f MiB at most", tokens, how,
                             static_cast<double>(of.peak) / (1 << 20));
    };
    table.AddCost(what("recompute", cost), cost.step);
    table.AddCost(what("eager attention", eager), eager.step);
    table.AddCheck("FCI by both, difference as a share of the greatest score",
                   RelativeDifference(cost.scores, eager.scores), 0.05);
    if (tokens != most) {
      half = cost;
      half_eager = eager;
      continue;
    }
    const auto growth = [](const FciCost& from, const FciCost& to) {
      return static_cast<double>(to.peak) / static_cast<double>(std::max<int64_t>(from.peak, 1));
    };
    table.AddCheck("memory of recompute, how many times that of half the tokens",
                   growth(half, cost), 2.2);
    table.AddNote("memory of eager attention, how many times that of half the tokens",
                  absl::StrFormat("%.2g", growth(half_eager, eager)));
  }
  return absl::OkStatus();
}

absl::Status AddDecoding(const Flags& flags, const rollout::RunnerOptions& options,
                         const model::ModelConfig& config, const model::Tensors& weights,
                         WholeTable& table) {
  const auto& numbers = flags.numbers;
  const DecodeShape shape = {.groups = numbers.at("groups"),
                             .samples = numbers.at("samples"),
                             .prompt = numbers.at("prompt"),
                             .response = numbers.at("response"),
                             .timed = numbers.at("timed")};
  const std::string what = absl::StrCat("decoding ", shape.groups * shape.samples, " sequences of ",
                                        shape.prompt + shape.response, " tokens, ", shape.groups,
                                        " prompts of ", shape.prompt);
  ATTNRL_ASSIGN_OR_RETURN(const auto model, rollout::MakeModel(config, weights, false));
  const auto add = [&](const std::string& how, const rollout::RunnerOptions& with) -> absl::Status {
    ATTNRL_ASSIGN_OR_RETURN(const StepCost cost, TimeDecoding(with, model, shape));
    table.AddCost(absl::StrCat(what, how), cost);
    return absl::OkStatus();
  };
  ATTNRL_RETURN_IF_ERROR(add("", options));
  rollout::RunnerOptions plain = options;
  plain.kernels = rollout::StepKernels::Of(options.device);
  plain.kernels->graphs = nullptr;
  ATTNRL_RETURN_IF_ERROR(add(", launch by launch", plain));
  rollout::RunnerOptions scored = options;
  scored.segmenter = MakeLines(config.vocab_size);
  scored.online_scores = CanScoreOnline(options, config);
  return add(scored.online_scores ? ", FCI on the way" : ", FCI in the end", scored);
}

absl::Status AddUpdates(const Flags& flags, const model::ModelConfig& config,
                        const model::Tensors& weights, WholeTable& table) {
  const TreeShape shape = {.prompt = flags.numbers.at("prompt"),
                           .response = flags.numbers.at("leaf"),
                           .max_tokens_per_pass = flags.numbers.at("pass")};
  const std::string what = absl::StrCat("updating with a tree of 5 leaves of ",
                                        shape.prompt + shape.response, " tokens");
  for (const auto& [prefixes, how] : {std::pair(learner::Prefixes::kOnce, ", packed"),
                                      std::pair(learner::Prefixes::kEach, ", leaf by leaf")}) {
    ATTNRL_ASSIGN_OR_RETURN(const StepCost cost, TimeUpdate(config, weights, prefixes, shape));
    table.AddCost(absl::StrCat(what, how), cost);
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> Run(const Flags& flags) {
  ATTNRL_ASSIGN_OR_RETURN(const at::Device device,
                          device::ParseDevice(flags.texts.at("device"), "device"));
  ATTNRL_ASSIGN_OR_RETURN(const model::ModelConfig config,
                          model::LoadModelConfig(flags.texts.at("model")));
  rollout::LimitThreads(ProcessorLimit());
  WholeTable table(device, MeasureDevice(device, flags.numbers.at("square")));
  const rollout::RunnerOptions options = {
      .threads = ProcessorLimit(), .dtype = config.dtype, .device = device};
  ATTNRL_RETURN_IF_ERROR(AddSameTokens(flags, options, table));
  const model::Tensors weights = DrawWeights(config, device);
  ATTNRL_RETURN_IF_ERROR(AddDecoding(flags, options, config, weights, table));
  ATTNRL_RETURN_IF_ERROR(AddFci(flags, config, weights, table));
  learner::FixNumerics(ProcessorLimit());
  ATTNRL_RETURN_IF_ERROR(AddUpdates(flags, config, weights, table));
  return !table.failed();
}

int Main(int argc, char** argv) {
  Flags flags;
  if (!ParseFlags(argc, argv, &flags)) return 2;
  absl::StatusOr<bool> good = absl::InternalError("not run");
  try {
    good = Run(flags);
  } catch (const std::exception& error) {
    good = absl::InternalError(OneLine(error.what()));
  }
  if (good.ok()) return *good ? 0 : 1;
  std::cerr << "error: " << good.status().message() << std::endl;
  return 1;
}

}  // namespace
}  // namespace attnrl::bench

int main(int argc, char** argv) { return attnrl::bench::Main(argc, argv); }
