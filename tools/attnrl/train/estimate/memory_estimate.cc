// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/estimate/memory_estimate.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/attention/cuda/fci_attention.h"
#include "common/base/machine.h"
#include "common/base/status.h"
#include "common/device/gpus.h"
#include "common/model/files/weights.h"
#include "common/model/operators.h"
#include "services/learner/checkpoint/checkpoint_writer.h"
#include "services/learner/options.h"
#include "services/learner/parameters/lora.h"
#include "services/learner/reference/reference.h"
#include "services/learner/train/pass.h"
#include "services/learner/train/pass_gradient.h"
#include "services/learner/train/token_scores.h"
#include "services/learner/versions/version_store.h"
#include "services/rollout_worker/engine/stepper.h"
#include "services/rollout_worker/runner/runner.h"
#include "tools/attnrl/train/report.h"

namespace attnrl::tools {
namespace {

constexpr int64_t kMegabyte = int64_t{1000} * 1000;
// A process with gRPC before it does anything.
constexpr int64_t kPlainProcess = 30 * kMegabyte;
// A context on a GPU with the libraries' kernels and workspaces; an assumption.
constexpr int64_t kDeviceContext = 1000 * kMegabyte;
// What CUDA and its libraries take of the host in a process with a context; an assumption.
constexpr int64_t kHostOfContext = 1000 * kMegabyte;
constexpr int64_t kFloatBytes = 4;

// A process with LibTorch and gRPC before it computes anything. 62 megabytes are its own (190 with
// CUDA's libraries, most of them what loading these writes into its pages), and 68 (195), which
// only read the libraries, are shared with the others of the machine: measured with three.
int64_t TorchProcess() { return (device::HasCuda() ? 240 : 90) * kMegabyte; }

int64_t LongestSequence(const config::Config& config) {
  return config.rollout.max_prompt_tokens + config.rollout.max_response_tokens;
}

// Rows of the largest training pass: a longer sequence is alone in its own.
int64_t PassRows(const config::Config& config) {
  return std::max(config.learner.max_tokens_per_pass, LongestSequence(config));
}

at::Device DeviceOf(const config::Learner& learner) {
  return learner.device == "cpu" ? at::kCPU : at::kCUDA;
}

// The sequences of a pass of `rows`: responses of the greatest length, the last one of what is
// left, whose continuations have the last `own` rows to themselves.
std::vector<attention::DenseSequence> PassSequences(const config::Config& config, int64_t rows,
                                                    int64_t own) {
  const config::Branching& branching = config.algorithm.branching;
  const int64_t prompt = config.rollout.max_prompt_tokens;
  const int64_t continuations =
      config.algorithm.branches() ? branching.points * branching.children : 0;
  const int64_t of_problem = config.algorithm.sampling.initial_responses * (1 + continuations);
  std::vector<attention::DenseSequence> sequences;
  int64_t left = rows;
  for (int64_t leaf = 0, length = 0; left > 0; ++leaf) {
    int64_t shared = leaf % of_problem == 0 ? 0 : prompt;
    if (leaf % (1 + continuations) == 0) {
      length =
          std::min(LongestSequence(config), shared + std::max<int64_t>(1, left - continuations));
    } else {
      shared = std::min(length - 1, std::max(prompt, length - own));
    }
    left -= length - shared;
    sequences.push_back({.length = length, .shared = shared});
  }
  return sequences;
}

// Bytes of attention in the largest pass. Branch points lie anywhere: late ones show many keys more
// than once, early ones have many rows under masks, and what lies between needs less than either.
// When attention goes back, `freed` bytes of its layer, which came after it, are gone.
int64_t AttentionOfPass(const config::Config& config, const RunShape& shape, at::ScalarType dtype,
                        int64_t layers, int64_t freed) {
  // A setting may ask for any number of rows; of more than these all parts are alike.
  constexpr int64_t kMostCounted = int64_t{1} << 20;
  const int64_t rows = PassRows(config);
  const int64_t counted = std::min(rows, kMostCounted);
  const double passes = static_cast<double>(rows) / static_cast<double>(counted);
  const auto with = [&](int64_t own) {
    const std::vector<attention::DenseSequence> sequences = PassSequences(config, counted, own);
    const auto bytes = [&](int64_t kept) {
      return learner::AttentionBytes(shape.model, DeviceOf(config.learner), dtype, sequences, kept);
    };
    const auto all = [&](int64_t kept) {
      return static_cast<int64_t>(passes * static_cast<double>(bytes(kept)));
    };
    return all(layers) - std::min(freed, all(1) - all(0));
  };
  return std::max(with(1), with(config.rollout.max_response_tokens));
}

// Bytes of the largest training pass in `memory` bytes: the input of each layer, activations of all
// layers or of one, what attention takes besides, and two chunks of logits.
int64_t PassBytes(const config::Config& config, const RunShape& shape, int64_t memory) {
  const int64_t rows = PassRows(config);
  const at::ScalarType dtype =
      model::TrainedActivations(model::ToScalarType(shape.dtype), DeviceOf(config.learner));
  const auto element = static_cast<int64_t>(c10::elementSize(dtype));
  const bool again = learner::ComputesAgain(learner::TrainerOptionsOf(config).checkpoint,
                                            shape.model, rows, element, memory);
  const int64_t layers = again ? 1 : shape.model.layers;
  const int64_t of_mlp = 5 * element * rows * shape.model.intermediate_size;
  return element * rows * shape.model.layers * shape.model.hidden_size +
         rows * layers * learner::ActivationBytes(shape.model, element) +
         AttentionOfPass(config, shape, dtype, layers, of_mlp) +
         2 * std::min(learner::kLogitBytes, kFloatBytes * rows * shape.model.vocab_size);
}

// Parameters of the adapters: rank times the sum of both extents of each weight that has some.
int64_t AdapterParameters(const learner::LoraOptions& lora, const model::ModelConfig& shape) {
  int64_t extents = 0;
  for (const auto& [name, extent] : model::TensorShapes(shape)) {
    if (!learner::Lora::IsTarget(name, extent.size(), lora.targets)) continue;
    extents += extent[0] + extent[1];
  }
  return lora.rank * extents;
}

// Both moments of a rank, in the memory of the host.
int64_t OffloadedBytes(const config::Config& config, const model::ModelConfig& shape) {
  if (config.learner.offload_optimizer == config::OffloadOptimizer::kNone) return 0;
  return 2 * kFloatBytes * TrainedParameters(config, shape) / config.learner.ranks;
}

// Masters and two moments, shared out over the ranks, and as many gradients; in the deterministic
// mode one of each of four parts. Without what is offloaded, but for a slice of it.
int64_t StateBytes(const config::Config& config, const model::ModelConfig& shape) {
  constexpr int64_t kSlice = int64_t{256} << 20;
  const int64_t numbers = config.learner.deterministic ? 8 : 4;
  const int64_t offloaded = OffloadedBytes(config, shape);
  return numbers * kFloatBytes * TrainedParameters(config, shape) / config.learner.ranks -
         offloaded + std::min(kSlice, offloaded);
}

// Log-probs are computed from the head in float32, which of other weights is a copy.
int64_t HeadBytes(const RunShape& shape) {
  return shape.dtype == model::DType::kFloat32
             ? 0
             : shape.model.vocab_size * shape.model.hidden_size * kFloatBytes;
}

// What the learner has of it: of a head that adapters leave alone the model keeps one, and each
// pass makes its own.
int64_t TrainedHeadBytes(const config::Config& config, const RunShape& shape) {
  return (config.learner.lora.rank > 0 ? 2 : 1) * HeadBytes(shape);
}

// Whether the weights to compute with lie beside the masters.
bool LeavesAreApart(const config::Config& config, const RunShape& shape) {
  return config.learner.lora.rank > 0 || config.learner.ranks > 1 ||
         shape.dtype != model::DType::kFloat32;
}

// The embedding's gradient, the largest that ranks exchange: sent and received.
int64_t ExchangedBytes(const config::Config& config, const model::ModelConfig& shape) {
  return config.learner.ranks > 1 ? 2 * kFloatBytes * shape.vocab_size * shape.hidden_size : 0;
}

// Whether version bytes stay in a worker for the next one's differences, or for other workers: on
// one machine they don't.
bool KeepsFetchedBytes(const config::Config& config) {
  return !config.learner.address.empty() && !absl::StartsWith(config.learner.address, "unix:");
}

int64_t LayerElements(const model::ModelConfig& shape) {
  int64_t layer = 0;
  for (const auto& [name, extent] : model::TensorShapes(shape)) {
    if (!absl::StartsWith(name, "model.layers.0.")) continue;
    layer += extent.size() == 2 ? extent[0] * extent[1] : extent[0];
  }
  return layer;
}

// Elements of the largest part whose gradient is complete at once: a layer, or the head.
int64_t LargestPart(const model::ModelConfig& shape) {
  return std::max(LayerElements(shape), shape.vocab_size * shape.hidden_size);
}

// What waits for the disk while a checkpoint is written: masters and moments, within a bound.
int64_t CheckpointBytes(const config::Config& config, const model::ModelConfig& shape) {
  return std::min(
      3 * kFloatBytes * TrainedParameters(config, shape),
      std::max(learner::CheckpointWriter::kBufferBytes, kFloatBytes * LargestPart(shape)));
}

bool KeepsReference(const config::Config& config, config::OffloadReference place) {
  return config.learner.kl_weight > 0 && config.learner.offload_reference == place;
}

// What there is of the reference model beside the weights in training: all, or of a model that lies
// elsewhere the layer or what of the head is in use, as it came and as it is laid out, the head in
// float32 on a GPU.
int64_t ReferenceBytes(const config::Config& config, const RunShape& shape) {
  if (config.learner.kl_weight == 0) return 0;
  const int64_t element = shape.dtype_bytes();
  if (KeepsReference(config, config::OffloadReference::kNone)) {
    return model::CountParameters(shape.model) * element;
  }
  const bool parts = config.learner.device == "cpu";
  const int64_t rows =
      parts ? std::min(learner::kHeadRows, shape.model.vocab_size) : shape.model.vocab_size;
  const int64_t head = rows * shape.model.hidden_size * element;
  return std::max(2 * LayerElements(shape.model) * element,
                  head + (parts ? head : HeadBytes(shape)));
}

// What a rank on a GPU has of it on the host: all, or of a file the part that is on its way.
int64_t ReferenceOnHost(const config::Config& config, const RunShape& shape) {
  if (KeepsReference(config, config::OffloadReference::kCpu)) {
    return model::CountParameters(shape.model) * shape.dtype_bytes();
  }
  return KeepsReference(config, config::OffloadReference::kDisk)
             ? LargestPart(shape.model) * shape.dtype_bytes()
             : 0;
}

// Where the weights that a run started from aren't what adapters change, they lie beside masters,
// leaves and reference until those are made: what they take more than gradient, moments and
// `training`, which come only afterwards.
int64_t StartBytes(const config::Config& config, const RunShape& shape, int64_t training) {
  if (config.learner.lora.rank > 0) return 0;
  const int64_t parameters = model::CountParameters(shape.model);
  const int64_t masters = kFloatBytes * parameters / config.learner.ranks;
  const int64_t later = StateBytes(config, shape.model) - masters + training;
  return std::max<int64_t>(0, parameters * shape.dtype_bytes() - later);
}

// What a rank has of the pass and of the weights that it computes with, on the CPU: the reference
// model, the leaves where they aren't the masters, and what adapters change.
int64_t ComputingBytes(const config::Config& config, const RunShape& shape) {
  const int64_t weights = model::CountParameters(shape.model) * shape.dtype_bytes();
  const int64_t training = ExchangedBytes(config, shape.model) + TrainedHeadBytes(config, shape) +
                           PassBytes(config, shape, MemoryLimit());
  const int64_t copies =
      (config.learner.lora.rank > 0 ? 1 : 0) + (LeavesAreApart(config, shape) ? 1 : 0);
  return StateBytes(config, shape.model) + weights * copies + ReferenceBytes(config, shape) +
         training + StartBytes(config, shape, training);
}

// Versions whose bits the learner keeps for workers. From a GPU the weights come over into memory
// of their own, from which versions are made.
int64_t KeptVersions(bool on_gpu) {
  return static_cast<int64_t>(learner::kCachedVersions) + (on_gpu ? 1 : 0);
}

// How a worker on a GPU runs its model.
rollout::RunnerOptions OnGpu(const RunShape& shape) {
  return {.dtype = shape.dtype, .device = at::Device(at::kCUDA)};
}

}  // namespace

int64_t TrainedParameters(const config::Config& config, const model::ModelConfig& shape) {
  return config.learner.lora.rank > 0
             ? AdapterParameters(learner::TrainerOptionsOf(config).lora, shape)
             : model::CountParameters(shape);
}

MemoryEstimate EstimateMemory(const config::Config& config, const RunShape& shape,
                              int64_t kv_bytes) {
  const int64_t weights = model::CountParameters(shape.model) * shape.dtype_bytes();
  MemoryEstimate memory;
  // The bytes of the version that is fetched; the versions that it samples with, the next one while
  // it is loaded, and the cache.
  memory.worker_bytes =
      TorchProcess() + weights * (KeepsFetchedBytes(config) ? 2 : 1) +
      (config.rollout.device != "cpu"
           ? kHostOfContext
           : kv_bytes + (config.rollout.resident_versions + 1) *
                            rollout::ResidentWeightBytes({.dtype = shape.dtype}, shape.model));
  const bool on_gpu = config.learner.device != "cpu";
  memory.rank_bytes =
      TorchProcess() + OffloadedBytes(config, shape.model) +
      (on_gpu ? kHostOfContext + ReferenceOnHost(config, shape) : ComputingBytes(config, shape));
  memory.learner_bytes =
      memory.rank_bytes + KeptVersions(on_gpu) * weights + CheckpointBytes(config, shape.model);
  memory.scheduler_bytes = 2 * kPlainProcess;
  memory.verifier_bytes = kPlainProcess;
  memory.total_bytes = memory.worker_bytes * config.rollout.workers + memory.learner_bytes +
                       memory.rank_bytes * (config.learner.ranks - 1) + memory.scheduler_bytes +
                       memory.verifier_bytes;
  return memory;
}

absl::Status CheckHostMemory(const config::Config& config, const MemoryEstimate& memory,
                             int64_t machine_bytes) {
  if (machine_bytes <= 0 || memory.total_bytes <= machine_bytes) return absl::OkStatus();
  const int64_t workers = config.rollout.workers, ranks = config.learner.ranks;
  std::vector<std::string> keys, less;
  const auto change = [&](bool helps, const char* key, const char* what) {
    if (!helps) return;
    keys.emplace_back(key);
    less.emplace_back(what);
  };
  const bool samples_here = config.rollout.device == "cpu" && workers > 0;
  change(samples_here, "rollout.kv_cache_bytes", "a smaller cache, shorter responses");
  change(samples_here && config.rollout.resident_versions > 1, "rollout.resident_versions",
         "fewer resident versions");
  change(config.learner.device == "cpu", "learner.max_tokens_per_pass", "smaller passes");
  change(config.learner.offload_optimizer != config::OffloadOptimizer::kNone,
         "learner.offload_optimizer", "an optimizer on the device");
  const auto in_memory = config.learner.device == "cpu" ? config::OffloadReference::kNone
                                                        : config::OffloadReference::kCpu;
  change(KeepsReference(config, in_memory), "learner.offload_reference",
         "a reference model on disk");
  change(workers > 1, "rollout.workers", "fewer workers");
  change(ranks > 1, "learner.ranks", "fewer ranks");
  change(keys.empty(), "model.path", "smaller models");
  return InputError(
      absl::StrJoin(keys, ", "),
      absl::StrCat("the services would need about ", FormatBytes(memory.total_bytes), " (",
                   Counted(workers, "worker"), " of ", FormatBytes(memory.worker_bytes), ", ",
                   ranks > 1 ? "the first learner process" : "1 learner process", " of ",
                   FormatBytes(memory.learner_bytes),
                   ranks > 1 ? absl::StrCat(", ", Counted(ranks - 1, "other"), " of ",
                                            FormatBytes(memory.rank_bytes))
                             : std::string(),
                   ")"),
      absl::StrCat("this machine has ", FormatBytes(machine_bytes), "; ", absl::StrJoin(less, ", "),
                   " need less"));
}

int64_t DeviceEstimate::total() const {
  int64_t sum = 0;
  for (const Part& part : parts) sum += part.bytes;
  return sum;
}

DeviceEstimate EstimateWorkerDevice(const config::Config& config, const RunShape& shape,
                                    int64_t kv_bytes) {
  const config::Rollout& rollout = config.rollout;
  const rollout::RunnerOptions runner = OnGpu(shape);
  // One more than it samples with, while that is fetched.
  const int64_t kept = rollout.resident_versions + 1;
  const int64_t token_bytes =
      2 * shape.dtype_bytes() * shape.model.layers * shape.model.kv_heads * shape.model.head_dim;
  const int64_t step =
      rollout::StepWorkspaceBytes(runner, shape.model, rollout::StepperOptions().max_step_rows);
  // Two matrices of one head where attention is scored in a pass of its own without a kernel.
  const int64_t longest = LongestSequence(config);
  const bool matrices =
      config.algorithm.scores_attention() &&
      !attention::GpuFciAttention::Fits(shape.model.head_dim, model::ToScalarType(shape.dtype));
  const int64_t scores = matrices ? 2 * kFloatBytes * longest * longest : 0;
  return {.process = kWorkerProcess,
          .processes = rollout.workers,
          .parts = {{absl::StrCat("weights, ", kept, " versions"),
                     kept * rollout::ResidentWeightBytes(runner, shape.model)},
                    {absl::StrCat("KV cache, ", FormatCount(kv_bytes / token_bytes), " tokens"),
                     kv_bytes},
                    {"workspace of a step, libraries", std::max(step, scores)},
                    {"context", kDeviceContext}}};
}

DeviceEstimate EstimateLearnerDevice(const config::Config& config, const RunShape& shape,
                                     int64_t device_bytes) {
  const config::Learner& learner = config.learner;
  const int64_t weights = model::CountParameters(shape.model) * shape.dtype_bytes();
  const std::string of_ranks =
      learner.ranks > 1 ? absl::StrCat(", 1 of ", learner.ranks, " shards") : "";
  const int64_t pass = PassBytes(config, shape, std::max<int64_t>(1, device_bytes));
  const int64_t gradient =
      (learner.lora.rank > 0 ? 0 : LargestPart(shape.model) * (shape.dtype_bytes() + kFloatBytes)) +
      ExchangedBytes(config, shape.model);
  DeviceEstimate estimate = {.process = kLearnerProcess, .processes = learner.ranks, .parts = {}};
  estimate.parts = {{"masters, gradient, moments" + of_ranks, StateBytes(config, shape.model)},
                    {"weights to compute with", LeavesAreApart(config, shape) ? weights : 0},
                    {"weights that adapters change", learner.lora.rank > 0 ? weights : 0},
                    {KeepsReference(config, config::OffloadReference::kNone)
                         ? "reference model"
                         : "reference model, a part at a time",
                     ReferenceBytes(config, shape)},
                    {"head in float32", TrainedHeadBytes(config, shape)},
                    {absl::StrCat("pass of ", FormatCount(PassRows(config)), " tokens"), pass},
                    {"gradient of one layer or the head", gradient},
                    {"model as it is read, beyond what follows",
                     StartBytes(config, shape, HeadBytes(shape) + pass + gradient)},
                    {"context and libraries", kDeviceContext}};
  std::erase_if(estimate.parts, [](const DeviceEstimate::Part& part) { return part.bytes == 0; });
  return estimate;
}

}  // namespace attnrl::tools
