// SPDX-License-Identifier: Apache-2.0
#include "common/model/files/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/status.h"
#include "common/model/testing/tiny_models.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::model {
namespace {

using nlohmann::json;
using testing::HasSubstr;

json Qwen2() {
  return {{"architectures", {"Qwen2ForCausalLM"}},
          {"hidden_act", "silu"},
          {"hidden_size", 64},
          {"intermediate_size", 128},
          {"max_position_embeddings", 4096},
          {"num_attention_heads", 4},
          {"num_hidden_layers", 3},
          {"num_key_value_heads", 2},
          {"rms_norm_eps", 1e-6},
          {"rope_theta", 10000.0},
          {"sliding_window", 4096},
          {"use_sliding_window", false},
          {"torch_dtype", "bfloat16"},
          {"vocab_size", 600}};
}

absl::StatusOr<ModelConfig> Load(const json& value) {
  const TemporaryFolder folder;
  folder.Write("config.json", value.dump());
  return LoadModelConfig(folder.path());
}

json With(const std::string& key, const json& value) {
  json config = Qwen2();
  config[key] = value;
  return config;
}

TEST(ModelConfig, ReadsQwen2) {
  const auto config = Load(Qwen2());
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->architecture, Architecture::kQwen2);
  EXPECT_EQ(config->head_dim, 16);
  EXPECT_TRUE(config->qkv_bias);
  EXPECT_FALSE(config->output_bias);
  EXPECT_FALSE(config->tie_word_embeddings);
  EXPECT_EQ(config->dtype, DType::kBFloat16);
}

TEST(ModelConfig, ReadsBiasesHeadsAndNormsOfTheOthers) {
  json llama = With("architectures", {"LlamaForCausalLM"});
  llama["attention_bias"] = true;
  llama["mlp_bias"] = true;
  llama["tie_word_embeddings"] = true;
  llama.erase("num_key_value_heads");
  const auto first = Load(llama);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE(first->qkv_bias && first->output_bias && first->mlp_bias);
  EXPECT_TRUE(first->tie_word_embeddings);
  EXPECT_EQ(first->kv_heads, 4);
  json qwen3 = With("architectures", {"Qwen3ForCausalLM"});
  qwen3["head_dim"] = 32;
  const auto second = Load(qwen3);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_TRUE(second->qk_norm);
  EXPECT_FALSE(second->qkv_bias);
  EXPECT_EQ(second->head_dim, 32);
}

TEST(ModelConfig, PrefersTheNewNames) {
  json value = With("rope_parameters", {{"rope_type", "default"}, {"rope_theta", 5e5}});
  value["dtype"] = "float32";
  const auto config = Load(value);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->rope_theta, 5e5);
  EXPECT_EQ(config->dtype, DType::kFloat32);
}

TEST(ModelConfig, TakesNullForAMissingKey) {
  EXPECT_TRUE(Load(With("rope_scaling", nullptr)).ok());
  EXPECT_TRUE(Load(With("head_dim", nullptr)).ok());
}

TEST(ModelConfig, PassesOverADTypeWhereAnotherOneIsGiven) {
  const TemporaryFolder folder;
  folder.Write("config.json", With("torch_dtype", "float16").dump());
  EXPECT_FALSE(LoadModelConfig(folder.path()).ok());
  const auto config = LoadModelConfig(folder.path(), /*dtype_is_given=*/true);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(config->dtype_is_given);
}

struct Refusal {
  std::string name;
  json config;
  std::string complaint;
};

class ModelConfigRefuses : public testing::TestWithParam<Refusal> {};

TEST_P(ModelConfigRefuses, ByFileAndKey) {
  const auto config = Load(GetParam().config);
  ASSERT_FALSE(config.ok());
  EXPECT_TRUE(IsInputError(config.status())) << config.status();
  EXPECT_THAT(std::string(config.status().message()), HasSubstr("config.json: "));
  EXPECT_THAT(std::string(config.status().message()), HasSubstr(GetParam().complaint));
}

INSTANTIATE_TEST_SUITE_P(
    Cases, ModelConfigRefuses,
    testing::Values(
        Refusal{"Architecture", With("architectures", {"GPT9"}),
                "architectures is GPT9; allowed are Qwen2ForCausalLM, LlamaForCausalLM or"},
        Refusal{"NoArchitecture", With("architectures", nullptr), "architectures is missing"},
        Refusal{"NoSize", With("hidden_size", nullptr), "hidden_size is missing"},
        Refusal{"TextForASize", With("vocab_size", "many"), "vocab_size is \"many\""},
        Refusal{"ZeroLayers", With("num_hidden_layers", 0), "num_hidden_layers is 0"},
        Refusal{"HugeSize", With("intermediate_size", 1e18), "intermediate_size is"},
        Refusal{"HeadsThatDontDivide", With("num_key_value_heads", 3), "num_key_value_heads is 3"},
        Refusal{"OddHead", With("head_dim", 15), "head_dim is 15"},
        Refusal{"RopeScaling", With("rope_scaling", {{"type", "dynamic"}, {"factor", 2.0}}),
                "rope_scaling asks for rope scaling of type \"dynamic\"; \"default\" (none), "},
        Refusal{"RopeParameters", With("rope_parameters", {{"rope_type", "longrope"}}),
                "rope_parameters asks for rope scaling of type \"longrope\""},
        Refusal{"SlidingWindow", With("use_sliding_window", true), "use_sliding_window is true"},
        Refusal{"LayerTypes", With("layer_types", {"full_attention", "sliding_attention"}),
                "layer_types names"},
        Refusal{"Activation", With("hidden_act", "gelu"), "hidden_act is \"gelu\""},
        Refusal{"DType", With("torch_dtype", "float16"),
                "torch_dtype is \"float16\"; allowed are float32 and bfloat16; an explicit"},
        Refusal{"Epsilon", With("rms_norm_eps", -1), "rms_norm_eps is -1"}),
    [](const auto& test) { return test.param.name; });

TEST(ModelConfig, NamesAMissingOrBrokenFile) {
  const TemporaryFolder folder;
  EXPECT_THAT(std::string(LoadModelConfig(folder.path()).status().message()),
              HasSubstr("no such file"));
  folder.Write("config.json", "{");
  EXPECT_THAT(std::string(LoadModelConfig(folder.path()).status().message()),
              HasSubstr("is not JSON"));
}

TEST(ModelConfig, CountsParameters) {
  ModelConfig config = SmallConfig();
  const int64_t layer = 32 * 32 + 32 + 2 * (16 * 32 + 16) + 32 * 32 + 3 * 48 * 32 + 2 * 32;
  EXPECT_EQ(CountParameters(config), 2 * 40 * 32 + 32 + 2 * layer);
  config.tie_word_embeddings = true;
  EXPECT_EQ(CountParameters(config), 40 * 32 + 32 + 2 * layer);
}

}  // namespace
}  // namespace attnrl::model
