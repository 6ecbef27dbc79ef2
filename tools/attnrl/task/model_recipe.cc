// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/task/model_recipe.h"

#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/json/json.h"
#include "common/text/byte_alphabet.h"

namespace attnrl::tools {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kBytes = 256;
// Best first; each side is bytes as text.
constexpr std::array<std::pair<const char*, const char*>, 6> kMerges = {
    {{"\n", "\n"}, {"1", "0"}, {"b", "o"}, {"x", "e"}, {"bo", "xe"}, {"boxe", "d"}}};
constexpr int kEndId = kBytes + static_cast<int>(kMerges.size());
constexpr int kPadId = kEndId + 1;
constexpr int kVocabulary = kPadId + 1;
constexpr const char* kEnd = "<|endoftext|>";
constexpr const char* kPad = "<|pad|>";

constexpr const char* kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

std::string InAlphabet(const std::string& bytes) {
  std::string out;
  for (const char c : bytes) out += text::ByteCharacter(static_cast<uint8_t>(c));
  return out;
}

Json ByteLevel(bool add_prefix_space, bool use_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", add_prefix_space},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}

Json AddedToken(int id, const char* content) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", true}};
}

Json TokenizerJson() {
  Json vocabulary = Json::object();
  for (int byte = 0; byte < kBytes; ++byte) {
    vocabulary[text::ByteCharacter(static_cast<uint8_t>(byte))] = byte;
  }
  Json merges = Json::array();
  for (const auto& [left, right] : kMerges) {
    const int id = static_cast<int>(vocabulary.size());
    vocabulary[InAlphabet(std::string(left) + right)] = id;
    merges.push_back(Json::array({InAlphabet(left), InAlphabet(right)}));
  }
  const Json split = {{"type", "Split"},
                      {"pattern", {{"Regex", kLlama3Pattern}}},
                      {"behavior", "Isolated"},
                      {"invert", false}};
  return {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", Json::array({AddedToken(kEndId, kEnd), AddedToken(kPadId, kPad)})},
      {"normalizer", nullptr},
      {"pre_tokenizer",
       {{"type", "Sequence"}, {"pretokenizers", Json::array({split, ByteLevel(false, false)})}}},
      {"post_processor", nullptr},
      {"decoder", ByteLevel(true, true)},
      {"model",
       {{"type", "BPE"},
        {"dropout", nullptr},
        {"unk_token", nullptr},
        {"continuing_subword_prefix", nullptr},
        {"end_of_word_suffix", nullptr},
        {"fuse_unk", false},
        {"byte_fallback", false},
        {"ignore_merges", false},
        {"vocab", vocabulary},
        {"merges", merges}}}};
}

Json ConfigJson() {
  return {{"architectures", Json::array({"Qwen2ForCausalLM"})},
          {"model_type", "qwen2"},
          {"vocab_size", kVocabulary},
          {"hidden_size", 128},
          {"intermediate_size", 384},
          {"num_hidden_layers", 4},
          {"num_attention_heads", 4},
          {"num_key_value_heads", 2},
          {"head_dim", 32},
          {"hidden_act", "silu"},
          {"max_position_embeddings", 512},
          {"rms_norm_eps", 1e-6},
          {"rope_theta", 10000.0},
          {"tie_word_embeddings", true},
          {"attention_dropout", 0.0},
          {"initializer_range", 0.08},
          {"use_sliding_window", false},
          {"use_cache", true},
          {"bos_token_id", nullptr},
          {"eos_token_id", kEndId},
          {"pad_token_id", kPadId},
          {"dtype", "bfloat16"},
          {"torch_dtype", "bfloat16"}};
}

}  // namespace

std::vector<std::pair<std::string, std::string>> ModelRecipe() {
  const Json generation = {{"do_sample", true},
                           {"temperature", 1.0},
                           {"eos_token_id", kEndId},
                           {"pad_token_id", kPadId}};
  const Json tokenizer_config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                                 {"model_max_length", 512},
                                 {"clean_up_tokenization_spaces", false},
                                 {"eos_token", kEnd},
                                 {"pad_token", kPad}};
  return {{"config.json", PrintJson(ConfigJson(), 2) + "\n"},
          {"generation_config.json", PrintJson(generation, 2) + "\n"},
          {"tokenizer.json", PrintJson(TokenizerJson(), 1) + "\n"},
          {"tokenizer_config.json", PrintJson(tokenizer_config, 2) + "\n"}};
}

absl::Status WriteModelRecipe(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return InputError(folder, error.message(), "a writable folder is needed");
  for (const auto& [name, content] : ModelRecipe()) {
    std::ofstream out(absl::StrCat(folder, "/", name), std::ios::binary);
    out << content;
    out.close();
    if (!out) return absl::UnavailableError(absl::StrCat(folder, "/", name, ": can't be written"));
  }
  return absl::OkStatus();
}

}  // namespace attnrl::tools
