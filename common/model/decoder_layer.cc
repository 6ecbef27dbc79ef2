// SPDX-License-Identifier: Apache-2.0
#include "common/model/decoder_layer.h"

#include <ATen/ATen.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace attnrl::model {
namespace {

LinearTensors Linear(Tensors& weights, const std::string& name, bool bias, int64_t head_dim = 0) {
  return {.weight = &Named(weights, name + ".weight"),
          .bias = bias ? &Named(weights, name + ".bias") : nullptr,
          .head_dim = head_dim};
}

}  // namespace

at::Tensor& Named(Tensors& weights, const std::string& name) {
  const auto found = weights.find(name);
  if (found == weights.end()) throw std::logic_error("no tensor " + name);
  return found->second;
}

DecoderLayer::DecoderLayer(const ModelConfig& config, int64_t index, const Operators& operators,
                           Tensors& weights)
    : operators_(&operators), index_(index), eps_(config.rms_norm_eps) {
  const std::string prefix = absl::StrCat("model.layers.", index, ".");
  const std::string attention = prefix + "self_attn.";
  const std::string mlp = prefix + "mlp.";
  const auto norm = [&](const std::string& name) {
    return operators.NormWeight(Named(weights, name + ".weight"));
  };
  const auto project = [&](const std::vector<LinearTensors>& maps) {
    int64_t bytes = 0;
    for (const LinearTensors& map : maps) bytes += static_cast<int64_t>(map.weight->nbytes());
    std::unique_ptr<const Projection> projection = operators.MakeProjection(maps);
    if (!maps.front().weight->defined()) packed_bytes_ += bytes;
    return projection;
  };
  input_norm_ = norm(prefix + "input_layernorm");
  post_attention_norm_ = norm(prefix + "post_attention_layernorm");
  if (config.qk_norm) {
    query_norm_ = norm(attention + "q_norm");
    key_norm_ = norm(attention + "k_norm");
  }
  query_key_value_ = project({
      Linear(weights, attention + "q_proj", config.qkv_bias, config.head_dim),
      Linear(weights, attention + "k_proj", config.qkv_bias, config.head_dim),
      Linear(weights, attention + "v_proj", config.qkv_bias, config.head_dim),
  });
  output_ = project({Linear(weights, attention + "o_proj", config.output_bias)});
  gate_up_ = project({
      Linear(weights, mlp + "gate_proj", config.mlp_bias),
      Linear(weights, mlp + "up_proj", config.mlp_bias),
  });
  down_ = project({Linear(weights, mlp + "down_proj", config.mlp_bias)});
}

void DecoderLayer::Run(Stream* stream, const RotaryRows* rotary, attention::Attention& attention,
                       const at::Tensor& wanted) const {
  const AttentionInput input = BeforeAttention(stream, rotary);
  at::Tensor attended = attention.Forward(index_, input.q, input.k, input.v);
  if (wanted.defined()) {
    attended = attended.index_select(0, wanted);
    stream->x = stream->x.index_select(0, wanted);
  }
  AfterAttention(stream, attended);
}

DecoderLayer::AttentionInput DecoderLayer::BeforeAttention(Stream* stream,
                                                           const RotaryRows* rotary) const {
  const at::Tensor normed = operators_->AddAndNorm(&stream->x, stream->added, input_norm_, eps_);
  const Products projected = query_key_value_->Apply(normed);
  at::Tensor q = projected[0];
  at::Tensor k = projected[1];
  const at::Tensor& v = projected[2];
  if (query_norm_.defined()) {
    q = operators_->RmsNorm(q, query_norm_, eps_);
    k = operators_->RmsNorm(k, key_norm_, eps_);
  }
  if (rotary == nullptr) return {q, k, v};
  return {operators_->Rotate(q, *rotary), operators_->Rotate(k, *rotary), v};
}

void DecoderLayer::AfterAttention(Stream* stream, const at::Tensor& attended) const {
  stream->added = output_->Apply(attended).front();
  const at::Tensor normed =
      operators_->AddAndNorm(&stream->x, stream->added, post_attention_norm_, eps_);
  const Products projected = gate_up_->Apply(normed);
  stream->added = down_->Apply(operators_->GatedSilu(projected[0], projected[1])).front();
}

}  // namespace attnrl::model
