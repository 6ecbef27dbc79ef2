// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/words.h"

namespace attnrl::model {

enum class DType { kFloat32, kBFloat16 };

// "float32" or "bfloat16": what config.json and our flags say.
std::string_view DTypeName(DType dtype);
// `where` names the key or flag in the error.
absl::StatusOr<DType> ParseDType(std::string_view name, std::string_view where);

// What config.json names, without its "ForCausalLM".
enum class Architecture { kQwen2, kLlama, kQwen3 };
inline std::vector<Word<Architecture>> WordsOf(Architecture) {
  return {{"Qwen2", Architecture::kQwen2},
          {"Llama", Architecture::kLlama},
          {"Qwen3", Architecture::kQwen3}};
}

// How rotary positions are stretched beyond the context that the model was trained with first. The
// names are those of transformers; formulas in common/model/rotary.cc.
struct RopeScaling {
  enum class Kind { kNone, kLinear, kLlama3, kYarn };
  Kind kind = Kind::kNone;
  double factor = 1;
  double original_positions = 0;
  double low_frequency_factor = 1;  // llama3: these two
  double high_frequency_factor = 4;
  double beta_fast = 32;  // yarn: these three
  double beta_slow = 1;
  bool truncate = true;
  double attention_factor = 1;  // of cosines and sines

  bool operator==(const RopeScaling&) const = default;
};

// What config.json of a Hugging Face folder says, as far as the forward pass needs it.
struct ModelConfig {
  Architecture architecture = Architecture::kQwen2;
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;  // heads * head_dim need not be hidden_size
  int64_t max_position_embeddings = 0;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000;
  RopeScaling rope_scaling = {};
  double initializer_range = 0.02;
  bool qkv_bias = false;
  bool output_bias = false;  // of self_attn.o_proj
  bool mlp_bias = false;
  bool qk_norm = false;  // RMSNorm over each head of q and k (Qwen3)
  bool tie_word_embeddings = false;
  DType dtype = DType::kFloat32;  // of the stored weights
  bool dtype_is_given = false;    // another one was asked for: float16 is converted to it
};

// Reads `dir`/config.json. InputError by file and key for what is missing, wrong or not supported:
// another architecture or kind of rope scaling, a sliding window in use, an activation other than
// silu. A dtype that we don't compute in is refused too, unless `dtype_is_given`: then another one
// was asked for, and config.json's is of no account.
absl::StatusOr<ModelConfig> LoadModelConfig(const std::string& dir, bool dtype_is_given = false);

// Name and shape of every tensor of a model, as in its safetensors files (lm_head.weight only when
// untied).
std::map<std::string, std::vector<int64_t>> TensorShapes(const ModelConfig& config);
// Elements of all of them.
int64_t CountParameters(const ModelConfig& config);

// config.json's vocab_size: the model has rows for the ids below it, be they more or fewer than its
// tokenizer has. 2^31 where the folder has no such file or key. InputError for another value.
absl::StatusOr<int64_t> LoadVocabularySize(const std::string& dir);

// The ids that end a response: all of generation_config.json's eos_token_id, else config.json's,
// else tokenizer_config.json's eos_token. Ascending. InputError where none is named.
absl::StatusOr<std::vector<int32_t>> LoadEndTokens(const std::string& dir);

}  // namespace attnrl::model
