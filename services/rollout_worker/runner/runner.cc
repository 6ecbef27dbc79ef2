// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/runner/runner.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/attention/cuda/decode_attention.h"
#include "common/attention/flash_part.h"
#include "common/attention/paged/paged_attention.h"
#include "common/attention/paged/paged_kv_cache.h"
#include "common/attention/parallel.h"
#include "common/base/status.h"
#include "common/device/kept_tensors.h"
#include "common/device/upload.h"
#include "common/model/fci.h"
#include "common/model/transformer.h"
#include "services/rollout_worker/runner/batch_builder.h"
#include "services/rollout_worker/runner/device_scores.h"
#include "services/rollout_worker/runner/step_graphs.h"

namespace attnrl::rollout {
namespace {

// Logits that exist at once, for as many rows: on the CPU they stay in the cache while they are
// sampled, and a device needs little memory for them. Kernels need no more than the logits; the
// fewer launches, the better.
constexpr int64_t kLogitRows = 64;
constexpr int64_t kKernelLogitRows = 256;

attention::PagedKvShape CacheShape(const RunnerOptions& options, const model::ModelConfig& config) {
  return {config.layers, options.blocks, config.kv_heads, config.head_dim};
}

at::ScalarType CacheType(const RunnerOptions& options) {
  // The fixed-order kernels compute in float32; a rounded cache would lose what they keep.
  return options.deterministic ? at::kFloat : model::ToScalarType(options.dtype);
}

// Those that know the model's shapes.
StepKernels KernelsOf(const RunnerOptions& options, const model::ModelConfig& config) {
  StepKernels kernels = options.kernels.value_or(StepKernels::Of(options.device));
  if (!attention::DecodeAttention::Fits(CacheShape(options, config), config.heads,
                                        CacheType(options))) {
    kernels.attention = nullptr;
  }
  return kernels;
}

std::unique_ptr<device::GraphRecorder> RecorderOf(const StepKernels& kernels) {
  const bool whole = kernels.attention != nullptr && kernels.sample != nullptr;
  return whole && kernels.graphs ? kernels.graphs() : nullptr;
}

// A block more, for the rows that graphs have beyond a plan's.
attention::PagedKvShape WithNowhere(attention::PagedKvShape shape, const StepKernels& kernels) {
  if (kernels.attention != nullptr) ++shape.blocks;
  return shape;
}

// None where the device has no flash attention for the cache's type.
attention::PromptRoom PromptRoomOf(const RunnerOptions& options, const model::ModelConfig& config,
                                   const StepKernels& kernels) {
  const attention::PagedKvShape shape = CacheShape(options, config);
  const at::ScalarType type = CacheType(options);
  if (kernels.attention == nullptr || !attention::HasFlash(options.device, type, shape.head_dim)) {
    return {};
  }
  return attention::PromptRoom::For(shape, type, options.device);
}

class TorchRunner final : public StepRunner {
 public:
  TorchRunner(const RunnerOptions& options, const model::ModelConfig& config)
      : options_(options),
        config_(config),
        kernels_(KernelsOf(options, config)),
        device_scores_(config.layers * config.heads, options.device),
        graphs_(RecorderOf(kernels_), options.device),
        cache_(WithNowhere(CacheShape(options, config), kernels_), CacheType(options),
               options.device),
        prompt_room_(PromptRoomOf(options, config, kernels_)) {}

  // Both belong to the calling thread.
  void Begin() override {
    at::set_num_threads(options_.threads);
    if (!options_.device.is_cpu()) return;
    team_.emplace(options_.threads);
    team_->UseOnThisThread();
  }

  absl::StatusOr<std::vector<SampledToken>> Run(const StepPlan& plan,
                                                const model::Transformer& weights) override {
    try {
      const c10::InferenceMode inference;
      std::optional<device::KeptTensors::Use> use;
      // Steps with prompts are rare and large: what they need isn't kept.
      const bool decodes = plan.samples.size() == plan.ids.size();
      if (options_.device.is_cpu() && decodes) use.emplace(kept_);
      attention_plan_.Build(plan.groups);
      const int64_t repeats = kernels_.attention == nullptr ? 0 : config_.heads / config_.kv_heads;
      std::optional<BatchRoom> room;
      if (const int64_t rows = graphs_.RowsFor(plan)) {
        room = {rows, {static_cast<int32_t>(options_.blocks), 0}, [this](int64_t numbers) {
                  return graphs_.Place(numbers);
                }};
      }
      const StepTensors batch = BuildBatch(plan, attention_plan_,
                                           {options_.device, repeats, prompt_room_.size(),
                                            /*draws_kept=*/kernels_.sample != nullptr},
                                           device_scores_, upload_, room);
      if (kernels_.attention != nullptr) device_scores_.Apply(upload_, *kernels_.attention);
      if (!batch.draws.has_value())
        return Sample(plan.samples, Hidden(batch, plan, weights), weights);
      const auto draw = [&] { return Draw(*batch.draws, Hidden(batch, plan, weights), weights); };
      if (!room) return Fetch(draw());
      std::vector<SampledToken> tokens =
          Fetch(graphs_.Run({&weights, batch.decode->size(), batch.draws->truncates()}, draw));
      tokens.resize(plan.samples.size());  // without those of the rows beyond the plan's
      return tokens;
    } catch (const std::exception& error) {
      return absl::InternalError(absl::StrCat("the model can't be run: ", OneLine(error.what())));
    }
  }

  absl::StatusOr<std::vector<StepScores>> Score(std::span<const ScoreRequest> requests,
                                                const model::Transformer& weights) override {
    if (options_.segmenter == nullptr) {
      return absl::FailedPreconditionError("steps can't be scored without a tokenizer");
    }
    std::vector<SteppedSequence> sequences;
    std::vector<model::FciRequest> passes;
    for (const ScoreRequest& request : requests) sequences.push_back(Cut(request));
    for (const SteppedSequence& sequence : sequences) {
      passes.push_back({sequence.ids, sequence.steps, sequence.think_end});
    }
    try {
      const c10::InferenceMode inference;
      // All requests of a run have the same delta.
      auto scores = model::RecomputeFci(weights, passes, {.delta = requests.front().delta});
      if (!scores.ok()) return scores.status();
      std::vector<StepScores> results(requests.size());
      for (size_t i = 0; i < requests.size(); ++i) {
        for (const auto& [begin, end] : sequences[i].steps) {
          results[i].ends.push_back(static_cast<uint32_t>(end));
        }
        results[i].fci = std::move((*scores)[i]);
      }
      return results;
    } catch (const std::exception& error) {
      return absl::InternalError(absl::StrCat("steps can't be scored: ", OneLine(error.what())));
    }
  }

  void Forget(const model::Transformer* weights) override { graphs_.Forget(weights); }
  int64_t vocabulary() const override { return config_.vocab_size; }
  int64_t blocks() const override { return options_.blocks; }
  std::unique_ptr<OnlineScores> StartScores(int64_t prompt_tokens, uint32_t delta) override {
    if (!options_.online_scores || options_.segmenter == nullptr || delta < 1 ||
        !CanScoreOnline(options_, config_)) {
      return nullptr;
    }
    const int64_t rows = config_.layers * config_.heads;
    std::unique_ptr<ScoreSums> sums;
    if (options_.device.is_cpu()) {
      sums = std::make_unique<HostScoreSums>(rows);
    } else {
      sums = device_scores_.Make();
    }
    return std::make_unique<OnlineScores>(options_.segmenter,
                                          OnlineScores::Shape{prompt_tokens, delta, config_.heads},
                                          std::move(sums));
  }

 private:
  struct SteppedSequence {
    std::vector<int32_t> ids;  // prompt + response
    std::vector<StepRange> steps;
    std::optional<int64_t> think_end;
  };

  std::unique_ptr<attention::Attention> MakeAttention(const StepTensors& batch,
                                                      const StepPlan& plan,
                                                      const model::RotaryRows& rotary) {
    using attention::PagedAttention;
    if (batch.decode.has_value()) {
      return std::make_unique<attention::DecodeAttention>(
          cache_, *batch.decode, *kernels_.attention, prompt_room_, rotary.cosine, rotary.sine);
    }
    if (batch.attention.has_value()) {
      return std::make_unique<PagedAttention>(cache_, attention_plan_, *batch.attention);
    }
    return std::make_unique<PagedAttention>(cache_, attention_plan_, PagedAttention::Kernels::kBest,
                                            plan.scored);
  }

  SteppedSequence Cut(const ScoreRequest& request) const {
    const auto prompt = static_cast<int64_t>(request.prompt.size());
    SteppedSequence sequence;
    sequence.ids.assign(request.prompt.begin(), request.prompt.end());
    sequence.ids.insert(sequence.ids.end(), request.response.begin(), request.response.end());
    sequence.steps = options_.segmenter->Segment(prompt, request.response);
    sequence.think_end = options_.segmenter->ThinkEndStep(prompt, request.response, sequence.steps);
    return sequence;
  }

  // The states after which tokens are drawn.
  at::Tensor Hidden(const StepTensors& batch, const StepPlan& plan,
                    const model::Transformer& weights) {
    const auto attention = MakeAttention(batch, plan, weights.rotary());
    const at::Tensor hidden = weights.Hidden(batch.ids, batch.positions, *attention);
    // While all sequences decode, every row is sampled and needs no copy.
    return hidden.size(0) == batch.sampled.size(0) ? hidden : hidden.index_select(0, batch.sampled);
  }

  // Draws a token for each row of `hidden` on its device; undefined for no row.
  at::Tensor Draw(const DeviceDraws& draws, const at::Tensor& hidden,
                  const model::Transformer& weights) const {
    std::vector<at::Tensor> drawn;
    const int64_t at_once = kernels_.sample == nullptr ? kLogitRows : kKernelLogitRows;
    for (int64_t first = 0; first < hidden.size(0); first += at_once) {
      const int64_t count = std::min(at_once, hidden.size(0) - first);
      const at::Tensor logits = weights.Logits(hidden.narrow(0, first, count));
      drawn.push_back(kernels_.sample == nullptr ? draws.Draw(logits, first)
                                                 : draws.DrawBy(kernels_.sample, logits, first));
    }
    if (drawn.empty()) return {};
    return drawn.size() == 1 ? drawn.front() : at::cat(drawn);
  }

  // When it returns, the device is done with the step, and so with the weights.
  std::vector<SampledToken> Fetch(const at::Tensor& drawn) const {
    if (drawn.defined()) return FetchTokens(drawn);
    const c10::impl::VirtualGuardImpl device(options_.device.type());
    device.synchronizeStream(device.getStream(options_.device));
    return {};
  }

  // Draws a token for each row of `hidden` on the host. Logits of a device come there for it.
  std::vector<SampledToken> Sample(const std::vector<SampledRow>& rows, const at::Tensor& hidden,
                                   const model::Transformer& weights) {
    samplers_.resize(static_cast<size_t>(at::get_num_threads()));
    std::vector<SampledToken> tokens(rows.size());
    for (int64_t first = 0; first < hidden.size(0); first += kLogitRows) {
      const int64_t count = std::min(kLogitRows, hidden.size(0) - first);
      const at::Tensor part = count == hidden.size(0) ? hidden : hidden.narrow(0, first, count);
      const at::Tensor logits = weights.Logits(part).to(at::kCPU).contiguous();
      const auto width = static_cast<size_t>(logits.size(1));
      const auto* values = logits.const_data_ptr<float>();
      std::atomic<size_t> range = 0;  // one a thread at most
      ParallelFor(count, 1, 1, [&](int64_t begin, int64_t end) {
        Sampler& sampler = samplers_[range++];
        for (int64_t i = begin; i < end; ++i) {
          const auto index = static_cast<size_t>(first + i);
          const SampledRow& row = rows[index];
          tokens[index] = sampler.Sample({values + static_cast<size_t>(i) * width, width},
                                         row.params, row.key, row.index);
        }
      });
    }
    return tokens;
  }

  const RunnerOptions options_;
  const model::ModelConfig config_;
  const StepKernels kernels_;  // null: by LibTorch, or on the CPU
  DeviceScores device_scores_;
  StepGraphs graphs_;
  attention::PagedKvCache cache_;
  const attention::PromptRoom prompt_room_;
  attention::AttentionPlan attention_plan_;
  device::Upload upload_;
  device::KeptTensors kept_;  // of steps on the CPU
  std::optional<kernels::ThreadTeam> team_;
  std::vector<Sampler> samplers_;  // one a thread
};

}  // namespace

StepKernels StepKernels::Of(at::Device device) {
  if (!device.is_cuda()) return {};
  return {.attention = attention::GpuDecodeKernels(),
          .sample = GpuSampleLaunch(),
          .graphs = [device] { return device::MakeGraphRecorder(device); }};
}

absl::StatusOr<std::unique_ptr<StepRunner>> MakeRunner(const RunnerOptions& options,
                                                       const model::ModelConfig& config) {
  if (options.deterministic && !options.device.is_cpu()) {
    return InputError("deterministic", absl::StrCat("device ", options.device.str()),
                      "the fixed-order kernels run on the cpu only");
  }
  try {
    return std::make_unique<TorchRunner>(options, config);
  } catch (const std::exception& error) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no memory for a KV cache of ",
                     options.blocks * KvBlockBytes(options, config) >> 20, " MiB (", options.blocks,
                     " blocks of ", attention::kBlockTokens, " tokens): ", OneLine(error.what())));
  }
}

bool CanScoreOnline(const RunnerOptions& options, const model::ModelConfig& config) {
  return options.device.is_cpu() || KernelsOf(options, config).attention != nullptr;
}

int64_t ResidentWeightBytes(const RunnerOptions& options, const model::ModelConfig& config) {
  const auto size = static_cast<int64_t>(c10::elementSize(model::ToScalarType(options.dtype)));
  int64_t bytes = model::CountParameters(config) * size;
  // The head's weight once more, in float32.
  if (options.dtype != model::DType::kFloat32) {
    bytes += config.vocab_size * config.hidden_size * static_cast<int64_t>(sizeof(float));
  }
  return bytes;
}

int64_t StepWorkspaceBytes(const RunnerOptions& options, const model::ModelConfig& config,
                           int64_t step_rows) {
  constexpr int64_t kLibraries = int64_t{256} << 20;
  const at::ScalarType activations =
      options.device.is_cpu() ? at::kFloat : model::ToScalarType(options.dtype);
  const auto size = static_cast<int64_t>(c10::elementSize(activations));
  // The most of a row that is there at once: what runs through the layers, a layer's projections,
  // and both halves of the block behind attention, each with what it is made of.
  const int64_t row = 6 * config.hidden_size +
                      4 * (config.heads + 2 * config.kv_heads) * config.head_dim +
                      4 * config.intermediate_size;
  const int64_t logits = kKernelLogitRows * config.vocab_size * static_cast<int64_t>(sizeof(float));
  const int64_t prompts = options.device.is_cpu() ? 0 : attention::PromptRoom::kMostBytes;
  return kLibraries + step_rows * row * size + 2 * logits + prompts;
}

int64_t KvBlockBytes(const RunnerOptions& options, const model::ModelConfig& config) {
  attention::PagedKvShape shape = CacheShape(options, config);
  shape.blocks = 1;
  return attention::PagedKvCache::Bytes(shape, CacheType(options));
}

absl::StatusOr<std::shared_ptr<const model::Transformer>> MakeModel(
    const model::ModelConfig& config, model::Tensors weights, bool deterministic) {
  const model::Operators& operators =
      deterministic ? model::Operators::FixedOrder() : model::Operators::Standard();
  try {
    return std::make_shared<const model::Transformer>(config, std::move(weights), operators);
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("the model can't be made: ", OneLine(error.what())));
  }
}

void LimitThreads(int threads) {
  at::set_num_threads(threads);
  // LibTorch allows this once a process, before any work.
  static const bool once = [] {
    at::set_num_interop_threads(1);
    return true;
  }();
  static_cast<void>(once);
}

}  // namespace attnrl::rollout
