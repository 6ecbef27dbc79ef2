// SPDX-License-Identifier: Apache-2.0
#include "absl/strings/str_cat.h"
#include "common/model/files/config.h"

namespace attnrl::model {
namespace {

using Shapes = std::map<std::string, std::vector<int64_t>>;

void AddLinear(const std::string& name, int64_t out, int64_t in, bool bias, Shapes* shapes) {
  (*shapes)[name + ".weight"] = {out, in};
  if (bias) (*shapes)[name + ".bias"] = {out};
}

void AddLayer(const ModelConfig& config, int64_t layer, Shapes* shapes) {
  const std::string prefix = absl::StrCat("model.layers.", layer, ".");
  const std::string attention = prefix + "self_attn.";
  const std::string mlp = prefix + "mlp.";
  const int64_t hidden = config.hidden_size;
  const int64_t queries = config.heads * config.head_dim;
  const int64_t keys = config.kv_heads * config.head_dim;
  (*shapes)[prefix + "input_layernorm.weight"] = {hidden};
  (*shapes)[prefix + "post_attention_layernorm.weight"] = {hidden};
  AddLinear(attention + "q_proj", queries, hidden, config.qkv_bias, shapes);
  AddLinear(attention + "k_proj", keys, hidden, config.qkv_bias, shapes);
  AddLinear(attention + "v_proj", keys, hidden, config.qkv_bias, shapes);
  AddLinear(attention + "o_proj", hidden, queries, config.output_bias, shapes);
  if (config.qk_norm) {
    (*shapes)[attention + "q_norm.weight"] = {config.head_dim};
    (*shapes)[attention + "k_norm.weight"] = {config.head_dim};
  }
  AddLinear(mlp + "gate_proj", config.intermediate_size, hidden, config.mlp_bias, shapes);
  AddLinear(mlp + "up_proj", config.intermediate_size, hidden, config.mlp_bias, shapes);
  AddLinear(mlp + "down_proj", hidden, config.intermediate_size, config.mlp_bias, shapes);
}

}  // namespace

Shapes TensorShapes(const ModelConfig& config) {
  Shapes shapes;
  shapes["model.embed_tokens.weight"] = {config.vocab_size, config.hidden_size};
  shapes["model.norm.weight"] = {config.hidden_size};
  if (!config.tie_word_embeddings) {
    shapes["lm_head.weight"] = {config.vocab_size, config.hidden_size};
  }
  for (int64_t layer = 0; layer < config.layers; ++layer) AddLayer(config, layer, &shapes);
  return shapes;
}

int64_t CountParameters(const ModelConfig& config) {
  int64_t count = 0;
  for (const auto& [name, shape] : TensorShapes(config)) {
    int64_t elements = 1;
    for (const int64_t size : shape) elements *= size;
    count += elements;
  }
  return count;
}

}  // namespace attnrl::model
