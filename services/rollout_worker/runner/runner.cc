// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/runner/runner.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/attention/cached_attention.h"
#include "common/attention/fixed_order_attention.h"
#include "common/attention/kv_cache.h"
#include "common/base/status.h"
#include "common/model/fci.h"
#include "common/model/transformer.h"
#include "services/rollout_worker/runner/batch_builder.h"

namespace attnrl::rollout {
namespace {

attention::KvCacheShape CacheShape(const RunnerOptions& options, const model::ModelConfig& config) {
  return {config.layers, options.slots, options.max_tokens, config.kv_heads, config.head_dim};
}

at::ScalarType CacheType(const RunnerOptions& options) {
  // The fixed-order kernels compute in float32; a rounded cache would lose what they keep.
  return options.deterministic ? at::kFloat : model::ToScalarType(options.dtype);
}

class TorchRunner final : public StepRunner {
 public:
  TorchRunner(const RunnerOptions& options, const model::ModelConfig& config)
      : options_(options),
        config_(config),
        cache_(CacheShape(options, config), CacheType(options), options.device) {}

  // The number of threads belongs to the calling thread.
  void Begin() override { at::set_num_threads(options_.threads); }

  void UseModel(std::shared_ptr<const model::Transformer> weights) override {
    model_ = std::move(weights);
  }

  absl::StatusOr<LogitRows> Run(const StepPlan& plan) override {
    try {
      const c10::InferenceMode inference;
      // Before the pass, which appends to the slots copied to.
      for (const PrefixCopy& copy : plan.copies) {
        cache_.CopyPrefix(copy.from_slot, copy.to_slot, copy.tokens);
      }
      logits_ = Forward(BuildBatch(plan, options_.device)).to(at::kCPU).contiguous();
    } catch (const std::exception& error) {
      return absl::InternalError(absl::StrCat("the model can't be run: ", OneLine(error.what())));
    }
    return LogitRows{{logits_.const_data_ptr<float>(), static_cast<size_t>(logits_.numel())},
                     logits_.size(1)};
  }

  absl::StatusOr<std::vector<StepScores>> Score(std::span<const ScoreRequest> requests) override {
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
      auto scores = model::RecomputeFci(*model_, passes, {.delta = requests.front().delta});
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

  int64_t vocabulary() const override { return config_.vocab_size; }

 private:
  struct SteppedSequence {
    std::vector<int32_t> ids;  // prompt + response
    std::vector<StepRange> steps;
    std::optional<int64_t> think_end;
  };

  SteppedSequence Cut(const ScoreRequest& request) const {
    const auto prompt = static_cast<int64_t>(request.prompt.size());
    SteppedSequence sequence;
    sequence.ids.assign(request.prompt.begin(), request.prompt.end());
    sequence.ids.insert(sequence.ids.end(), request.response.begin(), request.response.end());
    sequence.steps = options_.segmenter->Segment(prompt, request.response);
    sequence.think_end = options_.segmenter->ThinkEndStep(prompt, request.response, sequence.steps);
    return sequence;
  }

  at::Tensor Forward(const StepTensors& batch) {
    if (options_.deterministic) {
      attention::FixedOrderAttention attention(cache_, batch.sequences);
      return Forward(batch, attention);
    }
    attention::CachedAttention attention(cache_, batch.sequences);
    return Forward(batch, attention);
  }

  at::Tensor Forward(const StepTensors& batch, attention::Attention& attention) {
    at::Tensor hidden = model_->Hidden(batch.ids, batch.positions, attention);
    // While all sequences decode, every row is a last row and needs no copy.
    if (hidden.size(0) != batch.last_rows.size(0)) hidden = hidden.index_select(0, batch.last_rows);
    return model_->Logits(hidden);
  }

  const RunnerOptions options_;
  const model::ModelConfig config_;
  attention::KvCache cache_;
  std::shared_ptr<const model::Transformer> model_;
  at::Tensor logits_;  // float32 [sequences, vocabulary] of the last step, on the host
};

}  // namespace

absl::StatusOr<std::unique_ptr<StepRunner>> MakeRunner(const RunnerOptions& options,
                                                       const model::ModelConfig& config) {
  if (options.deterministic && !options.device.is_cpu()) {
    return InputError("deterministic", absl::StrCat("device ", options.device.str()),
                      "the fixed-order kernels run on the cpu only");
  }
  try {
    return std::make_unique<TorchRunner>(options, config);
  } catch (const std::exception& error) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "no memory for a KV cache of ", KvCacheBytes(options, config) >> 20, " MiB (",
        options.slots, " slots of ", options.max_tokens, " tokens): ", OneLine(error.what())));
  }
}

int64_t KvCacheBytes(const RunnerOptions& options, const model::ModelConfig& config) {
  return attention::KvCache::Bytes(CacheShape(options, config), CacheType(options));
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
