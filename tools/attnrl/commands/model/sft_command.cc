// SPDX-License-Identifier: Apache-2.0
#include <ATen/core/Tensor.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/base/temperature.h"
#include "common/data_set/question.h"
#include "common/device/device.h"
#include "common/model/files/config.h"
#include "common/model/files/weights.h"
#include "common/storage/files.h"
#include "common/storage/jsonl.h"
#include "common/text/prompt_text.h"
#include "common/text/tokenizer.h"
#include "services/learner/train/numerics.h"
#include "services/learner/train/supervised.h"
#include "tools/attnrl/command.h"
#include "tools/attnrl/progress.h"

namespace attnrl::tools {
namespace {

// Steps in a row after which training ends where all of them were skipped.
constexpr int64_t kMostSkipped = 20;

struct SftFlags {
  std::string model, data, output;
  std::string chat_template;
  std::string chat = "auto";
  std::string schedule = "cosine";
  std::string save_dtype;
  std::string device = "cpu";
  int threads = 1;
  int64_t snapshot_every = 0;
  bool skip_bad = false;
  learner::SupervisedOptions options;
};

void AddFlags(Command& command, SftFlags& flags) {
  learner::SupervisedOptions& options = flags.options;
  options.steps = 0;
  command
      .Add("--model", &flags.model,
           "Model folder in Hugging Face layout; without weights it is initialised at random")
      .Required();
  command.Add("--data", &flags.data, "Records of {\"prompt\" | \"messages\", \"response\"}")
      .Required();
  command.Add("--output", &flags.output, "Folder to write; must not exist yet").Required();
  command.Add("--steps", &options.steps, "Optimizer steps; 0: one epoch").AtLeastZero();
  command.Add("--seed", &options.seed, "Seed of the initial weights and of the order of the data");
  command.Add("--batch", &options.batch, "Sequences in each step").AboveZero();
  command.Add("--learning-rate", &options.adamw.learning_rate, "Peak learning rate").AtLeastZero();
  command.Add("--warmup", &options.warmup, "Steps of linear warm-up").AtLeastZero();
  command
      .Add("--schedule", &flags.schedule,
           "Learning rate after the warm-up: cosine (down to a tenth) or constant")
      .OneOf({"cosine", "constant"});
  command
      .Add("--temperature", &options.temperature,
           "Temperature of the loss; below 1, the model is less sure when sampled at 1")
      .AboveZero();
  command.Add("--weight-decay", &options.adamw.weight_decay, "Weight decay of AdamW").AtLeastZero();
  command.Add("--beta2", &options.adamw.beta2, "Decay rate of the second moment of AdamW")
      .BetweenReals(0.0, 1.0);
  command
      .Add("--max-grad-norm", &options.max_grad_norm,
           "Gradients are clipped to this norm; 0: no clipping")
      .AtLeastZero();
  command
      .Add("--save-dtype", &flags.save_dtype,
           "Format of the saved weights: float32 or bfloat16 (default: that of config.json)")
      .OneOf({"float32", "bfloat16"});
  command
      .Add("--snapshot-every", &flags.snapshot_every,
           "Also write OUTPUT-step<N> after each multiple of this many steps; 0: never")
      .AtLeastZero();
  command.Add("--chat-template", &flags.chat_template,
              "Name of the chat template (default: the folder's own)");
  command
      .Add("--chat", &flags.chat,
           "What becomes of a prompt that is a text: a user's message in the chat template where "
           "the model has one (auto), or nothing (raw)")
      .OneOf({"auto", "raw"});
  command.Add("--device", &flags.device, "Device to compute on: cpu, cuda or cuda:N");
  command.Add("--threads", &flags.threads, "Compute threads; the bits of the result depend on them")
      .AboveZero();
  command.AddSwitch("--skip-bad", &flags.skip_bad, "Leave bad records out and count them");
  command.Footer(
      "Example:\n  attnrl sft --model deploy/local/model --data train.jsonl --output trained "
      "--steps 3000");
}

// Turns records into tokens the way that prompts are prepared for sampling.
class ExampleReader {
 public:
  static absl::StatusOr<ExampleReader> Open(const SftFlags& flags,
                                            const model::ModelConfig& config) {
    ATTNRL_ASSIGN_OR_RETURN(text::Tokenizer tokenizer, text::Tokenizer::Load(flags.model));
    ATTNRL_ASSIGN_OR_RETURN(const std::vector<int32_t> end_tokens,
                            model::LoadEndTokens(flags.model));
    ExampleReader reader(flags, std::move(tokenizer));
    reader.end_token_ = end_tokens.front();
    reader.longest_ = config.max_position_embeddings;
    reader.vocabulary_ = config.vocab_size;
    return reader;
  }

  absl::StatusOr<learner::SupervisedExample> Read(const storage::JsonLine& line) {
    ATTNRL_ASSIGN_OR_RETURN(const std::string response, storage::StringField(line, "response"));
    learner::SupervisedExample example;
    ATTNRL_ASSIGN_OR_RETURN(const data_set::Question question,
                            data_set::QuestionOf(line, {.setting = ""}));
    const absl::StatusOr<std::string> prompt = prompts_.Of(question);
    if (!prompt.ok()) return Annotate(prompt.status(), line.where);
    example.prompt = tokenizer_.Encode(*prompt);
    example.response = tokenizer_.Encode(response);
    example.response.push_back(end_token_);
    const size_t length = example.prompt.size() + example.response.size();
    if (example.prompt.empty()) {
      return InputError(line.where, "the prompt is empty", "at least one token is needed");
    }
    for (const std::vector<int32_t>* ids : {&example.prompt, &example.response}) {
      for (int32_t id : *ids) {
        if (id < vocabulary_) continue;
        return InputError(line.where, absl::StrCat("token ", id, " is outside the vocabulary"),
                          absl::StrCat("ids below ", vocabulary_));
      }
    }
    if (length > static_cast<size_t>(longest_)) {
      return InputError(line.where, absl::StrCat("prompt and response have ", length, " tokens"),
                        absl::StrCat("the model takes up to ", longest_));
    }
    return example;
  }

 private:
  ExampleReader(const SftFlags& flags, text::Tokenizer tokenizer)
      : prompts_({.model_dir = flags.model,
                  .chat_template = flags.chat_template,
                  .chat = flags.chat == "auto"}),
        tokenizer_(std::move(tokenizer)) {}

  text::PromptText prompts_;
  text::Tokenizer tokenizer_;
  int32_t end_token_ = 0;
  int64_t longest_ = 0;
  int64_t vocabulary_ = 0;
};

absl::StatusOr<std::vector<learner::SupervisedExample>> ReadExamples(
    const SftFlags& flags, const model::ModelConfig& config) {
  ATTNRL_ASSIGN_OR_RETURN(ExampleReader reader, ExampleReader::Open(flags, config));
  std::vector<learner::SupervisedExample> examples;
  int64_t skipped = 0;
  ATTNRL_RETURN_IF_ERROR(storage::ReadRecords(
      flags.data, flags.skip_bad, &skipped, [&](const storage::JsonLine& line) -> absl::Status {
        ATTNRL_ASSIGN_OR_RETURN(learner::SupervisedExample example, reader.Read(line));
        examples.push_back(std::move(example));
        return absl::OkStatus();
      }));
  if (skipped > 0) std::cerr << skipped << " bad records were left out\n";
  if (examples.empty()) return InputError(flags.data, "holds no record", "one a line is needed");
  return examples;
}

// `what` is not finite, so there will be no `folder`.
absl::Status NotFinite(const std::string& what, const SftFlags& flags, const std::string& folder) {
  return absl::FailedPreconditionError(absl::StrCat(
      what, "; the weights of ", flags.model,
      " may not be finite, or --learning-rate is too high. ", folder, " was not written"));
}

absl::Status Save(const SftFlags& flags, const std::string& folder, model::DType dtype,
                  const learner::SupervisedTrainer& trainer) {
  model::Tensors weights = trainer.Weights();
  for (auto& [name, tensor] : weights) {
    tensor = tensor.to(model::ToScalarType(dtype));
    if (!tensor.isfinite().all().item<bool>()) {
      return NotFinite(name + " is not finite in " + std::string(model::DTypeName(dtype)), flags,
                       folder);
    }
  }
  return model::WriteModelFolder(folder, flags.model, weights).status();
}

std::string SnapshotFolder(const SftFlags& flags, int64_t step) {
  return absl::StrCat(flags.output, "-step", step);
}

absl::Status TrainAndSave(const SftFlags& flags, model::DType save_dtype,
                          learner::SupervisedTrainer& trainer) {
  const int64_t steps = flags.options.steps;
  Progress progress({.what = "sft", .total = steps});
  const absl::Duration start = Clock::Real().Monotonic();
  double tokens = 0, loss = 0;
  int64_t skipped = 0, in_a_row = 0;
  for (int64_t step = 1; step <= steps; ++step) {
    ATTNRL_ASSIGN_OR_RETURN(const learner::SupervisedStep done, trainer.Step());
    skipped += done.skipped ? 1 : 0;
    in_a_row = done.skipped ? in_a_row + 1 : 0;
    tokens += static_cast<double>(done.tokens);
    if (!done.skipped) {
      // A mean over about the last fifty steps: one small batch says little.
      loss += (done.loss - loss) / static_cast<double>(std::min<int64_t>(step - skipped, 50));
    }
    const std::string shown =
        skipped < step ? absl::StrFormat("loss %.3f", loss) : "no finite loss yet";
    progress.Update(
        step, absl::StrFormat("%s, %.0f tokens/s", shown,
                              tokens / absl::ToDoubleSeconds(Clock::Real().Monotonic() - start)));
    if (in_a_row >= kMostSkipped || in_a_row == steps) {
      return NotFinite(absl::StrCat("none of the ", in_a_row < step ? "last " : "", in_a_row,
                                    " steps had a finite loss and gradient"),
                       flags, flags.output);
    }
    if (skipped < step && flags.snapshot_every > 0 && step % flags.snapshot_every == 0 &&
        step < steps) {
      ATTNRL_RETURN_IF_ERROR(Save(flags, SnapshotFolder(flags, step), save_dtype, trainer));
    }
  }
  progress.Finish(absl::StrFormat("loss %.3f, %.2f million tokens", loss, tokens / 1e6));
  if (skipped > 0) std::cerr << skipped << " steps skipped: loss or gradient not finite\n";
  return Save(flags, flags.output, save_dtype, trainer);
}

// Before hours of training: that every folder can be written at its end.
absl::Status CheckOutput(const SftFlags& flags, int64_t steps) {
  const std::string trial = absl::StrCat(flags.output, ".unfinished-", getpid());
  absl::Status made = storage::EnsureDirectory(trial);
  if (made.ok()) made = storage::RemoveTree(trial);
  if (!made.ok()) {
    return InputError("--output", std::string(made.message()), "a folder that can be made");
  }
  if (flags.snapshot_every == 0) return absl::OkStatus();
  for (int64_t step = flags.snapshot_every; step < steps; step += flags.snapshot_every) {
    const std::string folder = SnapshotFolder(flags, step);
    if (!std::filesystem::exists(folder)) continue;
    return InputError("--snapshot-every", folder + " exists", "new folders are needed");
  }
  return absl::OkStatus();
}

absl::Status Sft(SftFlags& flags) {
  // "trained/" names the same folder; what goes beside it is named after it.
  while (flags.output.size() > 1 && flags.output.ends_with('/')) flags.output.pop_back();
  if (std::filesystem::exists(flags.output)) {
    return InputError("--output", flags.output + " exists", "a new folder is needed");
  }
  if (!IsTemperature(flags.options.temperature)) {
    return InputError("--temperature", absl::StrCat(flags.options.temperature),
                      absl::StrCat("at least ", kLeastTemperature));
  }
  learner::FixNumerics(flags.threads);
  ATTNRL_ASSIGN_OR_RETURN(const at::Device device, device::ParseDevice(flags.device));
  ATTNRL_ASSIGN_OR_RETURN(const model::ModelConfig config,
                          model::LoadModelConfig(flags.model, !flags.save_dtype.empty()));
  ATTNRL_ASSIGN_OR_RETURN(const auto examples, ReadExamples(flags, config));
  model::Tensors weights;
  if (model::HasWeights(flags.model)) {
    ATTNRL_ASSIGN_OR_RETURN(
        weights, model::LoadTensors(flags.model, config, model::DType::kFloat32, device));
  } else {
    weights = model::RandomTensors(config, flags.options.seed, model::DType::kFloat32);
    for (auto& [name, tensor] : weights) tensor = tensor.to(device);
  }
  learner::SupervisedOptions& options = flags.options;
  if (options.steps == 0) {
    const int64_t count = static_cast<int64_t>(examples.size());
    options.steps = (count + options.batch - 1) / options.batch;
  }
  ATTNRL_RETURN_IF_ERROR(CheckOutput(flags, options.steps));
  options.schedule = flags.schedule == "cosine" ? learner::LearningRateSchedule::kCosine
                                                : learner::LearningRateSchedule::kConstant;
  const model::DType save_dtype = flags.save_dtype.empty()         ? config.dtype
                                  : flags.save_dtype == "bfloat16" ? model::DType::kBFloat16
                                                                   : model::DType::kFloat32;
  learner::SupervisedTrainer trainer(config, std::move(weights), examples, options);
  std::cerr << absl::StrFormat("%d examples, %.2f million parameters, %d steps of %d\n",
                               examples.size(), static_cast<double>(trainer.parameters()) / 1e6,
                               options.steps, options.batch);
  return TrainAndSave(flags, save_dtype, trainer);
}

}  // namespace

// `attnrl sft`: supervised training of a model on {"prompt", "response"} records.
void AddSftCommand(Command& app, Work* run) {
  Command& command = app.AddCommand("sft", "Train a model on prompts and responses (supervised)");
  auto flags = std::make_shared<SftFlags>();
  AddFlags(command, *flags);
  command.WhenChosen([flags, run] { *run = [flags] { return Sft(*flags); }; });
}

}  // namespace attnrl::tools
