// SPDX-License-Identifier: Apache-2.0
#include "common/model/transformer.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/model/rotary.h"

namespace attnrl::model {
namespace {

// Rows of a slice of RunAttention: enough for full speed of the products, few enough that what lies
// between them stays in the cache.
constexpr int64_t kSliceRows = 512;

// The tensor of a name; callers check completeness when they load, so a missing one is a bug.
at::Tensor& Named(Tensors& weights, const std::string& name) {
  const auto found = weights.find(name);
  if (found == weights.end()) throw std::logic_error("no tensor " + name);
  return found->second;
}

LinearTensors Linear(Tensors& weights, const std::string& name, bool bias) {
  return {.weight = &Named(weights, name + ".weight"),
          .bias = bias ? &Named(weights, name + ".bias") : nullptr};
}

}  // namespace

struct Transformer::Layer {
  at::Tensor input_norm;
  at::Tensor post_attention_norm;
  at::Tensor query_norm;  // undefined without qk_norm
  at::Tensor key_norm;
  std::unique_ptr<const Projection> query_key_value;
  std::unique_ptr<const Projection> output;
  std::unique_ptr<const Projection> gate_up;
  std::unique_ptr<const Projection> down;
};

Transformer::Transformer(const ModelConfig& config, Tensors weights, const Operators& operators)
    : config_(config), weights_(std::move(weights)), operators_(operators) {
  // Whatever is laid out anew here must serve every caller, in inference mode or not.
  const c10::InferenceMode ordinary(false);
  embedding_ = Named(weights_, "model.embed_tokens.weight");
  final_norm_ = Named(weights_, "model.norm.weight");
  head_ = operators.MakeHead(config.tie_word_embeddings ? embedding_
                                                        : Named(weights_, "lm_head.weight"));
  rotary_ = RotaryTable(config, embedding_.device());
  for (int64_t i = 0; i < config.layers; ++i) {
    const std::string prefix = absl::StrCat("model.layers.", i, ".");
    const std::string attention = prefix + "self_attn.";
    const std::string mlp = prefix + "mlp.";
    Layer layer;
    layer.input_norm = Named(weights_, prefix + "input_layernorm.weight");
    layer.post_attention_norm = Named(weights_, prefix + "post_attention_layernorm.weight");
    if (config.qk_norm) {
      layer.query_norm = Named(weights_, attention + "q_norm.weight");
      layer.key_norm = Named(weights_, attention + "k_norm.weight");
    }
    layer.query_key_value = operators.MakeProjection({
        Linear(weights_, attention + "q_proj", config.qkv_bias),
        Linear(weights_, attention + "k_proj", config.qkv_bias),
        Linear(weights_, attention + "v_proj", config.qkv_bias),
    });
    layer.output =
        operators.MakeProjection({Linear(weights_, attention + "o_proj", config.output_bias)});
    layer.gate_up = operators.MakeProjection({
        Linear(weights_, mlp + "gate_proj", config.mlp_bias),
        Linear(weights_, mlp + "up_proj", config.mlp_bias),
    });
    layer.down = operators.MakeProjection({Linear(weights_, mlp + "down_proj", config.mlp_bias)});
    layers_.push_back(std::move(layer));
  }
}

Transformer::~Transformer() = default;
Transformer::Transformer(Transformer&&) noexcept = default;

RotaryRows Transformer::RotaryOf(const at::Tensor& positions) const {
  return {rotary_->cosine.index_select(0, positions), rotary_->sine.index_select(0, positions)};
}

Transformer::AttentionInput Transformer::Project(int64_t index, const at::Tensor& x,
                                                 const RotaryRows& rotary,
                                                 const Operators& operators) const {
  const Layer& layer = layers_[static_cast<size_t>(index)];
  const double eps = config_.rms_norm_eps;
  const std::vector<at::Tensor> projected =
      layer.query_key_value->Apply(operators.RmsNorm(x, layer.input_norm, eps));
  at::Tensor q = projected[0].unflatten(-1, {config_.heads, config_.head_dim});
  at::Tensor k = projected[1].unflatten(-1, {config_.kv_heads, config_.head_dim});
  const at::Tensor v = projected[2].unflatten(-1, {config_.kv_heads, config_.head_dim});
  if (config_.qk_norm) {
    q = operators.RmsNorm(q, layer.query_norm, eps);
    k = operators.RmsNorm(k, layer.key_norm, eps);
  }
  return {operators.Rotate(q, rotary), operators.Rotate(k, rotary), v};
}

Transformer::AttentionInput Transformer::ProjectInSlices(int64_t index, const at::Tensor& x,
                                                         const RotaryRows& rotary,
                                                         const Operators& operators) const {
  AttentionInput all;
  for (int64_t row = 0; row < x.size(0); row += kSliceRows) {
    const int64_t rows = std::min(kSliceRows, x.size(0) - row);
    const RotaryRows slice_rotary = {rotary.cosine.narrow(0, row, rows),
                                     rotary.sine.narrow(0, row, rows)};
    const AttentionInput slice = Project(index, x.narrow(0, row, rows), slice_rotary, operators);
    if (rows == x.size(0)) return slice;
    const auto put = [&](const at::Tensor& part, at::Tensor& whole) {
      if (row == 0) whole = at::empty({x.size(0), part.size(1), part.size(2)}, part.options());
      whole.narrow(0, row, rows).copy_(part);
    };
    put(slice.q, all.q);
    put(slice.k, all.k);
    put(slice.v, all.v);
  }
  return all;
}

at::Tensor Transformer::OutputBlock(int64_t index, const at::Tensor& attended) const {
  return layers_[static_cast<size_t>(index)].output->Apply(attended.flatten(1)).front();
}

at::Tensor Transformer::MlpBlock(int64_t index, const at::Tensor& x,
                                 const Operators& operators) const {
  const Layer& layer = layers_[static_cast<size_t>(index)];
  const std::vector<at::Tensor> projected =
      layer.gate_up->Apply(operators.RmsNorm(x, layer.post_attention_norm, config_.rms_norm_eps));
  return layer.down->Apply(operators.GatedSilu(projected[0], projected[1])).front();
}

at::Tensor Transformer::Hidden(const at::Tensor& ids, const at::Tensor& positions,
                               attention::Attention& attention) const {
  const RotaryRows rotary = RotaryOf(positions);
  at::Tensor x = operators_.Embed(embedding_, ids);
  for (int64_t i = 0; i < config_.layers; ++i) {
    const AttentionInput input = Project(i, x, rotary, operators_);
    x = x + OutputBlock(i, attention.Forward(i, input.q, input.k, input.v));
    x = x + MlpBlock(i, x, operators_);
  }
  return operators_.RmsNorm(x, final_norm_, config_.rms_norm_eps);
}

void Transformer::RunAttention(const at::Tensor& ids, const at::Tensor& positions,
                               attention::Attention& attention) const {
  const RotaryRows rotary = RotaryOf(positions);
  const at::Tensor x = operators_.Embed(embedding_, ids);
  // In one pass over the rows each, where ATen takes several and memory between them.
  const bool own = x.device().is_cpu() && x.scalar_type() == at::kFloat;
  const Operators& operators = own ? Operators::FixedOrder() : operators_;
  for (int64_t i = 0; i < config_.layers; ++i) {
    at::Tensor attended;
    {
      const AttentionInput input = ProjectInSlices(i, x, rotary, operators);
      attended = attention.Forward(i, input.q, input.k, input.v);
    }
    if (i + 1 == config_.layers) return;
    for (int64_t row = 0; row < x.size(0); row += kSliceRows) {
      const int64_t rows = std::min(kSliceRows, x.size(0) - row);
      at::Tensor slice = x.narrow(0, row, rows);
      slice.add_(OutputBlock(i, attended.narrow(0, row, rows)));
      slice.add_(MlpBlock(i, slice, operators));
    }
  }
}

at::Tensor Transformer::Logits(const at::Tensor& hidden) const {
  return head_->Apply(hidden).front();
}

TokenScores ScoreTokens(const at::Tensor& logits, const at::Tensor& targets, double temperature) {
  const bool scaled = temperature != 0 && temperature != 1;
  const at::Tensor logprobs = at::log_softmax(scaled ? logits / temperature : logits, -1);
  return {.logprobs = logprobs.gather(-1, targets.unsqueeze(-1)).squeeze(-1),
          .entropy = -(logprobs.exp() * logprobs).sum(-1)};
}

}  // namespace attnrl::model
