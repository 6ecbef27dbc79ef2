// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/memory_estimate.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "common/base/machine.h"

namespace attnrl::tools {
namespace {

constexpr int64_t kMegabyte = int64_t{1000} * 1000;
// A process with LibTorch and gRPC loaded, and one with gRPC alone.
constexpr int64_t kTorchProcess = 150 * kMegabyte;
constexpr int64_t kPlainProcess = 30 * kMegabyte;
constexpr int64_t kFloatBytes = 4;

// Bytes of a training pass of so many tokens: the input of each layer, activations, of all layers
// where they fit into an eighth of the memory and else of one, and two chunks of logits.
int64_t PassBytes(const model::ModelConfig& shape, int64_t tokens) {
  constexpr int64_t kChunk = int64_t{256} << 20;
  const int64_t attention = (shape.heads + 2 * shape.kv_heads) * shape.head_dim * 2;
  const int64_t layer =
      kFloatBytes * tokens * (attention + 5 * shape.hidden_size + 4 * shape.intermediate_size);
  const int64_t memory = MemoryLimit();
  const bool kept = memory == 0 || layer * shape.layers <= memory / 8;
  return kFloatBytes * tokens * shape.layers * shape.hidden_size +
         (kept ? layer * shape.layers : layer) +
         2 * std::min(kChunk, kFloatBytes * tokens * shape.vocab_size);
}

// Parameters of the adapters: rank times the sum of both extents of each weight that has some.
int64_t AdapterParameters(const config::LearnerLora& lora, const model::ModelConfig& shape) {
  int64_t extents = 0;
  for (const auto& [name, extent] : model::TensorShapes(shape)) {
    if (extent.size() != 2 || !absl::StartsWith(name, "model.layers.")) continue;
    const bool mlp = absl::StrContains(name, ".mlp.");
    if (lora.targets == config::LoraTargets::kLinear ||
        mlp == (lora.targets == config::LoraTargets::kMlp)) {
      extents += extent[0] + extent[1];
    }
  }
  return lora.rank * extents;
}

}  // namespace

MemoryEstimate EstimateMemory(const config::Config& config, const model::ModelConfig& shape,
                              int64_t dtype_bytes, int64_t kv_bytes) {
  const int64_t weights = model::CountParameters(shape);
  const int64_t longest = config.rollout.max_prompt_tokens + config.rollout.max_response_tokens;
  MemoryEstimate memory;
  // Two versions of the weights: the one in use and the next one while it arrives.
  memory.worker_bytes = kTorchProcess + 2 * weights * dtype_bytes + kv_bytes;
  // Masters, gradients and two moments, shared out over the ranks, of the weights or of adapters;
  // in the deterministic mode a gradient of each of four parts.
  const int64_t ranks = config.learner.ranks;
  const bool adapters = config.learner.lora.rank > 0;
  const int64_t trained = adapters ? AdapterParameters(config.learner.lora, shape) : weights;
  const int64_t flat = (config.learner.deterministic ? 8 : 4) * kFloatBytes * trained / ranks;
  // The published copy; the reference where there is a KL term; the weights to compute with where
  // they aren't the masters. Under adapters the reference is what they change.
  const bool apart = ranks > 1 || dtype_bytes != kFloatBytes;
  const int64_t copies =
      adapters ? 3 : 1 + (config.learner.kl_weight > 0 ? 1 : 0) + (apart ? 1 : 0);
  // The embedding's gradient, the largest that ranks exchange: sent and received.
  const int64_t exchanged = ranks > 1 ? 2 * kFloatBytes * shape.vocab_size * shape.hidden_size : 0;
  // Log-probs are computed from the head in float32, which of other weights is a copy.
  const int64_t head =
      dtype_bytes == kFloatBytes ? 0 : shape.vocab_size * shape.hidden_size * kFloatBytes;
  memory.learner_bytes = kTorchProcess + flat + exchanged + weights * copies * dtype_bytes + head +
                         PassBytes(shape, std::max(config.learner.max_tokens_per_pass, longest));
  memory.scheduler_bytes = 2 * kPlainProcess;
  memory.verifier_bytes = kPlainProcess;
  memory.total_bytes = memory.worker_bytes * config.rollout.workers + memory.learner_bytes * ranks +
                       memory.scheduler_bytes + memory.verifier_bytes;
  return memory;
}

}  // namespace attnrl::tools
