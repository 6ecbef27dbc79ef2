// SPDX-License-Identifier: Apache-2.0
#include "common/model/transformer.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <stdexcept>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/model/rotary.h"

namespace attnrl::model {
namespace {

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

at::Tensor Transformer::Attend(int64_t index, const at::Tensor& x, const RotaryRows& rotary,
                               attention::Attention& attention) const {
  const Layer& layer = layers_[static_cast<size_t>(index)];
  const double eps = config_.rms_norm_eps;
  const std::vector<at::Tensor> projected =
      layer.query_key_value->Apply(operators_.RmsNorm(x, layer.input_norm, eps));
  at::Tensor q = projected[0].unflatten(-1, {config_.heads, config_.head_dim});
  at::Tensor k = projected[1].unflatten(-1, {config_.kv_heads, config_.head_dim});
  const at::Tensor v = projected[2].unflatten(-1, {config_.kv_heads, config_.head_dim});
  if (config_.qk_norm) {
    q = operators_.RmsNorm(q, layer.query_norm, eps);
    k = operators_.RmsNorm(k, layer.key_norm, eps);
  }
  q = operators_.Rotate(q, rotary);
  k = operators_.Rotate(k, rotary);
  return attention.Forward(index, q, k, v);
}

at::Tensor Transformer::OutputBlock(int64_t index, const at::Tensor& attended) const {
  return layers_[static_cast<size_t>(index)].output->Apply(attended.flatten(1)).front();
}

at::Tensor Transformer::MlpBlock(int64_t index, const at::Tensor& x) const {
  const Layer& layer = layers_[static_cast<size_t>(index)];
  const std::vector<at::Tensor> projected =
      layer.gate_up->Apply(operators_.RmsNorm(x, layer.post_attention_norm, config_.rms_norm_eps));
  return layer.down->Apply(operators_.GatedSilu(projected[0], projected[1])).front();
}

at::Tensor Transformer::Hidden(const at::Tensor& ids, const at::Tensor& positions,
                               attention::Attention& attention) const {
  const RotaryRows rotary = RotaryOf(positions);
  at::Tensor x = operators_.Embed(embedding_, ids);
  for (int64_t i = 0; i < config_.layers; ++i) {
    x = x + OutputBlock(i, Attend(i, x, rotary, attention));
    x = x + MlpBlock(i, x);
  }
  return operators_.RmsNorm(x, final_norm_, config_.rms_norm_eps);
}

void Transformer::RunAttention(const at::Tensor& ids, const at::Tensor& positions,
                               attention::Attention& attention) const {
  const RotaryRows rotary = RotaryOf(positions);
  at::Tensor x = operators_.Embed(embedding_, ids);
  for (int64_t i = 0; i < config_.layers; ++i) {
    const at::Tensor attended = Attend(i, x, rotary, attention);
    if (i + 1 == config_.layers) return;
    x = x + OutputBlock(i, attended);
    x = x + MlpBlock(i, x);
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
