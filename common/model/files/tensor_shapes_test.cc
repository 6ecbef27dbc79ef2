// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <map>
#include <string>
#include <vector>

#include "common/model/files/config.h"
#include "common/model/testing/tiny_models.h"

namespace attnrl::model {
namespace {

using testing::ContainerEq;
using Shapes = std::map<std::string, std::vector<int64_t>>;

// One layer with a size of its own for everything: 6 heads of 10 are not the 32 of the states.
ModelConfig OneLayer() {
  ModelConfig config = SmallConfig();
  config.layers = 1;
  config.heads = 6;
  config.head_dim = 10;
  config.qkv_bias = false;
  return config;
}

const Shapes kPlain = {
    {"lm_head.weight", {40, 32}},
    {"model.embed_tokens.weight", {40, 32}},
    {"model.layers.0.input_layernorm.weight", {32}},
    {"model.layers.0.mlp.down_proj.weight", {32, 48}},
    {"model.layers.0.mlp.gate_proj.weight", {48, 32}},
    {"model.layers.0.mlp.up_proj.weight", {48, 32}},
    {"model.layers.0.post_attention_layernorm.weight", {32}},
    {"model.layers.0.self_attn.k_proj.weight", {20, 32}},
    {"model.layers.0.self_attn.o_proj.weight", {32, 60}},
    {"model.layers.0.self_attn.q_proj.weight", {60, 32}},
    {"model.layers.0.self_attn.v_proj.weight", {20, 32}},
    {"model.norm.weight", {32}},
};

Shapes PlainAnd(Shapes more) {
  more.insert(kPlain.begin(), kPlain.end());
  return more;
}

TEST(TensorShapes, AreThoseOfADecoderWithoutBiases) {
  EXPECT_THAT(TensorShapes(OneLayer()), ContainerEq(kPlain));
}

TEST(TensorShapes, HaveABiasWhereTheConfigurationSaysSo) {
  ModelConfig config = OneLayer();
  config.qkv_bias = true;
  const std::string attention = "model.layers.0.self_attn.";
  Shapes biases = {{attention + "q_proj.bias", {60}},
                   {attention + "k_proj.bias", {20}},
                   {attention + "v_proj.bias", {20}}};
  EXPECT_THAT(TensorShapes(config), ContainerEq(PlainAnd(biases)));
  config.output_bias = true;
  config.mlp_bias = true;
  biases[attention + "o_proj.bias"] = {32};
  biases["model.layers.0.mlp.gate_proj.bias"] = {48};
  biases["model.layers.0.mlp.up_proj.bias"] = {48};
  biases["model.layers.0.mlp.down_proj.bias"] = {32};
  EXPECT_THAT(TensorShapes(config), ContainerEq(PlainAnd(biases)));
}

TEST(TensorShapes, HaveNormsOfAHeadsSizeForQwen3) {
  ModelConfig config = OneLayer();
  config.qk_norm = true;
  EXPECT_THAT(TensorShapes(config),
              ContainerEq(PlainAnd({{"model.layers.0.self_attn.q_norm.weight", {10}},
                                    {"model.layers.0.self_attn.k_norm.weight", {10}}})));
}

TEST(TensorShapes, RepeatALayerUnderEveryNumberAndCountEveryElement) {
  ModelConfig config = OneLayer();
  config.tie_word_embeddings = true;
  config.layers = 12;
  const Shapes shapes = TensorShapes(config);
  EXPECT_EQ(shapes.size(), 2U + 12U * 9U);
  EXPECT_FALSE(shapes.contains("lm_head.weight"));
  EXPECT_TRUE(shapes.contains("model.layers.11.mlp.up_proj.weight"));
  EXPECT_FALSE(shapes.contains("model.layers.12.mlp.up_proj.weight"));
  const int64_t layer = 2 * 32 + 3 * 48 * 32 + 2 * 60 * 32 + 2 * 20 * 32;
  EXPECT_EQ(CountParameters(config), 40 * 32 + 32 + 12 * layer);
}

}  // namespace
}  // namespace attnrl::model
