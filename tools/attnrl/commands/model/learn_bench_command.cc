// SPDX-License-Identifier: Apache-2.0
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/config/config.h"
#include "common/config/records_folder.h"
#include "common/device/device.h"
#include "common/model/files/config.h"
#include "common/model/files/weights.h"
#include "common/storage/jsonl.h"
#include "services/branch_scheduler/records/tree_files.h"
#include "services/learner/checkpoint/checkpoint.h"
#include "services/learner/options.h"
#include "services/learner/train/library_error.h"
#include "services/learner/train/numerics.h"
#include "services/learner/train/trainer.h"
#include "services/learner/train/tree_samples.h"
#include "tools/attnrl/command.h"

namespace attnrl::tools {
namespace {

using scheduler::TrainingBatch;

struct BenchFlags {
  std::string model, config, dump_grads, stats, dtype;
  std::vector<std::string> inputs, sets;
  std::string device = "cpu";
  int threads = 1;
  int64_t steps = 0;
  bool packed = false;
  bool unpacked = false;
  bool replay = false;
};

void AddFlags(Command& command, BenchFlags& flags) {
  command
      .Add("--model", &flags.model, "Model folder in Hugging Face layout; also the reference model")
      .Required();
  command.Add("--config", &flags.config, "Configuration file whose learner settings are used");
  command.Add("--set", &flags.sets,
              "Set one configuration key, overriding the file: key=value; repeatable");
  command
      .Add("--input", &flags.inputs,
           "Files trees/batch-N.jsonl.zst of a run, a folder of them, or the run")
      .Required();
  const Flag packed =
      command.AddSwitch("--packed", &flags.packed, "Compute once what leaves share (default)");
  command.AddSwitch("--unpacked", &flags.unpacked, "Compute every leaf separately")
      .Excludes(packed);
  command.AddSwitch("--replay", &flags.replay,
                    "Train on from --model, a checkpoint of a run, with its optimizer's state and "
                    "the run's start model as the reference");
  command
      .Add("--dump-grads", &flags.dump_grads,
           "Safetensors file for the gradient of the first minibatch, before clipping")
      .Writable();
  command
      .Add("--steps", &flags.steps,
           "Batches to train, cycling through the files; 0: each file once")
      .AtLeastZero();
  command.Add("--dtype", &flags.dtype, "float32 or bfloat16 (default: that of config.json)")
      .OneOf({"float32", "bfloat16"});
  command.Add("--device", &flags.device, "Device to compute on: cpu, cuda or cuda:N");
  command.Add("--threads", &flags.threads, "Compute threads").AboveZero();
  command.Add("--stats", &flags.stats, "File for the figures (JSON; default: stdout)").Writable();
  command.Footer(
      "Example:\n  attnrl learn-bench --model runs/a/checkpoints/step-0 --input "
      "runs/a/trees/batch-0.jsonl.zst --unpacked --dump-grads grads.safetensors\n"
      "  attnrl learn-bench --replay --model runs/a/checkpoints/step-20 --config "
      "runs/a/config.yaml --input runs/a/nonfinite");
}

absl::StatusOr<std::vector<TrainingBatch>> ReadBatches(const BenchFlags& flags,
                                                       const model::ModelConfig& config) {
  std::vector<std::string> files;
  for (const std::string& input : flags.inputs) {
    if (!std::filesystem::is_directory(input)) {
      files.push_back(input);
      continue;
    }
    const std::string trees = config::RecordsFolder(input) + "/trees";
    const std::vector<std::string> found =
        scheduler::TreeFiles(std::filesystem::is_directory(trees) ? trees : input);
    if (found.empty()) {
      return InputError("--input " + input, "holds no files batch-N.jsonl.zst",
                        "a run, its folder trees/, or files of it");
    }
    files.insert(files.end(), found.begin(), found.end());
  }
  std::vector<TrainingBatch> batches;
  for (const std::string& file : files) {
    ATTNRL_ASSIGN_OR_RETURN(TrainingBatch batch, learner::ReadTreeSamples(file));
    for (const auto& sample : batch.samples) {
      for (const std::vector<int32_t>* ids : {&sample.prompt_ids, &sample.response_ids}) {
        for (int32_t id : *ids) {
          if (id >= 0 && id < config.vocab_size) continue;
          return InputError(file, absl::StrCat("token ", id, " is outside the model's vocabulary"),
                            absl::StrCat("ids from 0 to ", config.vocab_size - 1));
        }
      }
    }
    if (!batch.samples.empty()) batches.push_back(std::move(batch));
  }
  if (batches.empty()) {
    return InputError("--input", "no sample was trained in it",
                      "files of trees/ with problems of \"kept\": \"all\" are needed");
  }
  std::sort(batches.begin(), batches.end(),
            [](const TrainingBatch& a, const TrainingBatch& b) { return a.batch < b.batch; });
  return batches;
}

// Keys of a run that the bench has flags of its own for: a setting would do nothing.
absl::Status CheckSets(const std::vector<std::string>& sets) {
  constexpr std::pair<const char*, const char*> kFlags[] = {{"model.path", "--model DIR"},
                                                            {"model.dtype", "--dtype T"},
                                                            {"learner.device", "--device NAME"},
                                                            {"learner.threads", "--threads N"}};
  for (const std::string& set : sets) {
    for (const auto& [key, flag] : kFlags) {
      if (set.substr(0, set.find('=')) != key) continue;
      return InputError("--set " + set, "has no effect on learn-bench", flag);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<learner::TrainerOptions> Options(const BenchFlags& flags) {
  ATTNRL_RETURN_IF_ERROR(CheckSets(flags.sets));
  ATTNRL_ASSIGN_OR_RETURN(const config::Config config,
                          config::Load(flags.config, flags.sets, config::Environment()));
  if (config.learner.ranks != 1) {
    return InputError("learner.ranks",
                      absl::StrCat("is ", config.learner.ranks, ", and learn-bench is one process"),
                      "--set learner.ranks=1");
  }
  return learner::TrainerOptionsOf(config, std::filesystem::temp_directory_path().string());
}

// The folder of the model that the trainer is made of; with --replay that of the run's start.
absl::StatusOr<std::string> StartFolder(const BenchFlags& flags,
                                        const std::vector<TrainingBatch>& batches) {
  if (!flags.replay) return flags.model;
  constexpr const char* kAllowed = "RUN_DIR/checkpoints/step-N";
  const auto info = learner::ReadCheckpointInfo(flags.model);
  if (!info.ok()) {
    return InputError("--replay --model " + flags.model, std::string(info.status().message()),
                      kAllowed);
  }
  if (batches.front().batch < info->step) {
    return InputError(
        "--input",
        absl::StrCat("batch ", batches.front().batch, " was trained before ", flags.model),
        absl::StrCat("batches from ", info->step, " on, or an earlier checkpoint"));
  }
  std::string start = (std::filesystem::path(flags.model) / ".." / "step-0").lexically_normal();
  if (std::filesystem::exists(start)) return start;
  return InputError("--replay --model " + flags.model,
                    start + " isn't there, with which the run began", kAllowed);
}

absl::Status DumpGradient(const std::string& path, const TrainingBatch& batch,
                          learner::Trainer& trainer) {
  ATTNRL_RETURN_IF_ERROR(
      trainer.Gradient(batch, trainer.Minibatches(batch).front(), nullptr).status());
  learner::Parameters& parameters = trainer.parameters();
  return model::WriteSafetensors(path, parameters.Named(parameters.gradient()), {{"format", "pt"}});
}

int64_t PeakRssBytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{1024} * usage.ru_maxrss;
}

nlohmann::ordered_json NumberOrNull(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
}

// Trains `steps` batches, and says what that took: tokens that went through the model, those that
// would without packing, tokens computed a second. Loss and gradient norm are those of the first.
absl::StatusOr<nlohmann::ordered_json> Measure(const std::vector<TrainingBatch>& batches,
                                               int64_t steps, learner::Trainer& trainer) {
  Clock& clock = Clock::Real();
  const absl::Duration start = clock.Monotonic();
  int64_t unpacked = 0;
  const int64_t before = trainer.rows();
  int64_t steps_taken = 0;
  int64_t nonfinite = 0;
  scheduler::TrainStatistics first;
  for (int64_t step = 0; step < steps; ++step) {
    const TrainingBatch& batch = batches[static_cast<size_t>(step) % batches.size()];
    ATTNRL_ASSIGN_OR_RETURN(const scheduler::TrainStatistics statistics,
                            trainer.Train(batch, nullptr));
    if (step == 0) first = statistics;
    steps_taken += statistics.optimizer_steps;
    nonfinite += statistics.nonfinite_steps;
    for (const auto& sample : batch.samples) {
      unpacked += static_cast<int64_t>(sample.prompt_ids.size() + sample.response_ids.size()) - 1;
    }
  }
  const double seconds = absl::ToDoubleSeconds(clock.Monotonic() - start);
  const int64_t tokens = trainer.rows() - before;
  return nlohmann::ordered_json{{"tokens", tokens},
                                {"unpacked_tokens", unpacked},
                                {"seconds", seconds},
                                {"tokens_per_second", static_cast<double>(tokens) / seconds},
                                {"peak_rss_bytes", PeakRssBytes()},
                                {"loss", NumberOrNull(first.loss)},
                                {"grad_norm", NumberOrNull(first.grad_norm)},
                                {"optimizer_steps", steps_taken},
                                {"nonfinite_steps", nonfinite}};
}

absl::StatusOr<std::unique_ptr<learner::Trainer>> MakeTrainer(
    const model::ModelConfig& config, model::Tensors weights, model::DType dtype,
    const learner::TrainerOptions& options) {
  try {
    return std::make_unique<learner::Trainer>(config, std::move(weights), dtype, options);
  } catch (const std::exception& error) {
    return learner::LibraryError("making the trainer", error);
  }
}

absl::Status LearnBench(const BenchFlags& flags) {
  learner::FixNumerics(flags.threads);
  ATTNRL_ASSIGN_OR_RETURN(const at::Device device, device::ParseDevice(flags.device));
  ATTNRL_ASSIGN_OR_RETURN(learner::TrainerOptions options, Options(flags));
  if (flags.unpacked) options.prefixes = learner::Prefixes::kEach;
  ATTNRL_ASSIGN_OR_RETURN(const model::ModelConfig config,
                          model::LoadModelConfig(flags.model, !flags.dtype.empty()));
  model::DType dtype = config.dtype;
  if (!flags.dtype.empty()) {
    ATTNRL_ASSIGN_OR_RETURN(dtype, model::ParseDType(flags.dtype, "--dtype"));
  }
  ATTNRL_ASSIGN_OR_RETURN(const auto batches, ReadBatches(flags, config));
  ATTNRL_ASSIGN_OR_RETURN(const std::string start, StartFolder(flags, batches));
  // As in a run, masters start from the folder's own precision.
  ATTNRL_ASSIGN_OR_RETURN(model::Tensors weights,
                          model::LoadTensors(start, config, std::nullopt, device));
  ATTNRL_ASSIGN_OR_RETURN(const std::unique_ptr<learner::Trainer> made,
                          MakeTrainer(config, std::move(weights), dtype, options));
  learner::Trainer& trainer = *made;
  if (flags.replay) {
    ATTNRL_RETURN_IF_ERROR(learner::RestoreCheckpoint(flags.model, trainer).status());
  }
  if (!flags.dump_grads.empty()) {
    ATTNRL_RETURN_IF_ERROR(DumpGradient(flags.dump_grads, batches.front(), trainer));
  }
  const int64_t steps = flags.steps > 0 ? flags.steps : static_cast<int64_t>(batches.size());
  ATTNRL_ASSIGN_OR_RETURN(const nlohmann::ordered_json stats, Measure(batches, steps, trainer));
  ATTNRL_ASSIGN_OR_RETURN(storage::JsonLinesWriter writer,
                          storage::JsonLinesWriter::Open(flags.stats.empty() ? "-" : flags.stats));
  ATTNRL_RETURN_IF_ERROR(writer.Write(stats));
  return writer.Close();
}

}  // namespace

// `attnrl learn-bench`: the learner's update on the recorded batches of a run.
void AddLearnBenchCommand(Command& app, Work* run) {
  Command& command = app.AddCommand(
      "learn-bench", "Run the learner's update on recorded batches: speed, gradient");
  auto flags = std::make_shared<BenchFlags>();
  AddFlags(command, *flags);
  command.WhenChosen([flags, run] { *run = [flags] { return LearnBench(*flags); }; });
}

}  // namespace attnrl::tools
