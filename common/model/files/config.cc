// SPDX-License-Identifier: Apache-2.0
#include "common/model/files/config.h"

#include <cmath>
#include <exception>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/json/json.h"
#include "common/model/files/json_file.h"
#include "common/model/files/rope_scaling.h"

namespace attnrl::model {
namespace {

using nlohmann::json;

constexpr char kSuffix[] = "ForCausalLM";

// "Qwen2ForCausalLM, LlamaForCausalLM or Qwen3ForCausalLM"
std::string AllowedArchitectures() {
  std::string names;
  const std::vector<Word<Architecture>> words = WordsOf(Architecture());
  for (size_t i = 0; i < words.size(); ++i) {
    const char* separator = i == 0 ? "" : i + 1 < words.size() ? ", " : " or ";
    names.append(separator).append(words[i].word).append(kSuffix);
  }
  return names;
}

// Limits far beyond any published model: they keep products of them within int64.
constexpr int64_t kMaxSize = int64_t{1} << 22;
constexpr int64_t kMaxLayers = 4096;

absl::StatusOr<Architecture> ReadArchitecture(const JsonFile& file) {
  const json* list = file.Find("architectures");
  const bool usable =
      list != nullptr && list->is_array() && list->size() == 1 && list->front().is_string();
  if (!usable) {
    return file.Error("architectures", list == nullptr ? "is missing" : "is not one name",
                      absl::StrCat("[\"...\"] with ", AllowedArchitectures(), " is needed"));
  }
  const auto name = list->front().get<std::string>();
  for (const Word<Architecture>& known : WordsOf(Architecture())) {
    if (name == absl::StrCat(std::string(known.word), kSuffix)) return known.value;
  }
  return file.Error("architectures", absl::StrCat("is ", OneLine(name, 60)),
                    absl::StrCat("allowed are ", AllowedArchitectures()));
}

// What changes the forward pass and isn't built is refused rather than passed over.
absl::Status RefuseUnsupported(const JsonFile& file) {
  ATTNRL_ASSIGN_OR_RETURN(const bool windowed, file.Bool("use_sliding_window", false));
  if (windowed) {
    return file.Error("use_sliding_window", "is true", "only false is supported");
  }
  if (const json* types = file.Find("layer_types"); types != nullptr) {
    for (const json& type : *types) {
      if (type == "full_attention") continue;
      return file.Error("layer_types", absl::StrCat("names ", OneLine(PrintJson(type), 60)),
                        "only \"full_attention\" is supported");
    }
  }
  const json* activation = file.Find("hidden_act");
  if (activation != nullptr && *activation != "silu") {
    return file.Error("hidden_act", absl::StrCat("is ", OneLine(PrintJson(*activation), 60)),
                      "only \"silu\" is supported");
  }
  const json* partial = file.Find("partial_rotary_factor");
  if (partial != nullptr && *partial != 1.0) {
    return file.Error("partial_rotary_factor", absl::StrCat("is ", PrintJson(*partial)),
                      "only 1 is supported");
  }
  return absl::OkStatus();
}

absl::Status ReadSizes(const JsonFile& file, ModelConfig* config) {
  ATTNRL_ASSIGN_OR_RETURN(config->vocab_size, file.Size("vocab_size", kMaxSize));
  ATTNRL_ASSIGN_OR_RETURN(config->hidden_size, file.Size("hidden_size", kMaxSize));
  ATTNRL_ASSIGN_OR_RETURN(config->intermediate_size, file.Size("intermediate_size", kMaxSize));
  ATTNRL_ASSIGN_OR_RETURN(config->layers, file.Size("num_hidden_layers", kMaxLayers));
  ATTNRL_ASSIGN_OR_RETURN(config->heads, file.Size("num_attention_heads", kMaxSize));
  ATTNRL_ASSIGN_OR_RETURN(config->kv_heads,
                          file.Size("num_key_value_heads", kMaxSize, config->heads));
  ATTNRL_ASSIGN_OR_RETURN(config->max_position_embeddings,
                          file.Size("max_position_embeddings", kMaxSize));
  ATTNRL_ASSIGN_OR_RETURN(
      config->head_dim,
      file.Size("head_dim", kMaxSize, std::max<int64_t>(1, config->hidden_size / config->heads)));
  if (file.Find("head_dim") == nullptr && config->hidden_size % config->heads != 0) {
    return file.Error("hidden_size",
                      absl::StrCat("is ", config->hidden_size, " with ", config->heads, " heads"),
                      "a multiple of num_attention_heads is needed, or an explicit head_dim");
  }
  if (config->heads % config->kv_heads != 0) {
    return file.Error(
        "num_key_value_heads",
        absl::StrCat("is ", config->kv_heads, " with ", config->heads, " attention heads"),
        "a divisor of num_attention_heads is needed");
  }
  if (config->head_dim % 2 != 0) {
    return file.Error("head_dim", absl::StrCat("is ", config->head_dim),
                      "an even number is needed");
  }
  return absl::OkStatus();
}

absl::Status ReadBiases(const JsonFile& file, ModelConfig* config) {
  if (config->architecture == Architecture::kQwen2) {
    config->qkv_bias = true;
    return absl::OkStatus();
  }
  config->qk_norm = config->architecture == Architecture::kQwen3;
  ATTNRL_ASSIGN_OR_RETURN(config->qkv_bias, file.Bool("attention_bias", false));
  config->output_bias = config->qkv_bias;
  if (config->architecture == Architecture::kLlama) {
    ATTNRL_ASSIGN_OR_RETURN(config->mlp_bias, file.Bool("mlp_bias", false));
  }
  return absl::OkStatus();
}

absl::Status ReadNumbers(const JsonFile& file, ModelConfig* config) {
  ATTNRL_ASSIGN_OR_RETURN(config->rms_norm_eps, file.PositiveNumber("rms_norm_eps", 1e-6));
  ATTNRL_ASSIGN_OR_RETURN(config->initializer_range,
                          file.PositiveNumber("initializer_range", 0.02));
  ATTNRL_ASSIGN_OR_RETURN(config->rope_theta, file.PositiveNumber("rope_theta", 10000));
  if (const json* rope = file.Find("rope_parameters"); rope != nullptr) {
    ATTNRL_ASSIGN_OR_RETURN(config->rope_theta,
                            JsonFile(file.path(), *rope, "rope_parameters.")
                                .PositiveNumber("rope_theta", config->rope_theta));
  }
  ATTNRL_ASSIGN_OR_RETURN(config->rope_scaling,
                          ReadRopeScaling(file, config->max_position_embeddings));
  ATTNRL_ASSIGN_OR_RETURN(config->tie_word_embeddings, file.Bool("tie_word_embeddings", false));
  return absl::OkStatus();
}

absl::Status ReadDType(const JsonFile& file, ModelConfig* config) {
  const char* key = file.Find("dtype") != nullptr ? "dtype" : "torch_dtype";
  const json* value = file.Find(key);
  if (value == nullptr) return absl::OkStatus();  // as transformers: float32
  if (!value->is_string()) {
    return file.Error(key, "is not a name", "float32 or bfloat16 is needed");
  }
  const auto name = value->get<std::string>();
  const absl::StatusOr<DType> dtype = ParseDType(name, "");
  if (!dtype.ok()) {
    return file.Error(
        key, absl::StrCat("is \"", OneLine(name, 40), "\""),
        "allowed are float32 and bfloat16; an explicit --dtype (model.dtype) of these "
        "goes before it");
  }
  config->dtype = *dtype;
  return absl::OkStatus();
}

}  // namespace

std::string_view DTypeName(DType dtype) {
  return dtype == DType::kBFloat16 ? "bfloat16" : "float32";
}

absl::StatusOr<DType> ParseDType(std::string_view name, std::string_view where) {
  if (name == "float32") return DType::kFloat32;
  if (name == "bfloat16") return DType::kBFloat16;
  return InputError(where, absl::StrCat("is \"", OneLine(name, 40), "\""),
                    "allowed are float32 and bfloat16");
}

absl::StatusOr<ModelConfig> LoadModelConfig(const std::string& dir, bool dtype_is_given) {
  ATTNRL_ASSIGN_OR_RETURN(const JsonFile file, JsonFile::Read(dir + "/config.json"));
  ModelConfig config;
  ATTNRL_ASSIGN_OR_RETURN(config.architecture, ReadArchitecture(file));
  ATTNRL_RETURN_IF_ERROR(RefuseUnsupported(file));
  ATTNRL_RETURN_IF_ERROR(ReadSizes(file, &config));
  ATTNRL_RETURN_IF_ERROR(ReadBiases(file, &config));
  ATTNRL_RETURN_IF_ERROR(ReadNumbers(file, &config));
  const absl::Status dtype = ReadDType(file, &config);
  if (!dtype.ok() && !dtype_is_given) return dtype;
  config.dtype_is_given = dtype_is_given;
  return config;
}

}  // namespace attnrl::model
