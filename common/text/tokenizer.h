// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace attnrl::text {

// The tokenizer of a Hugging Face model folder: tokenizer.json with byte-level BPE (the split
// patterns of Qwen2, Llama-3, SmolLM2, GPT-2 and whatever else is a regular expression), and the
// names of the special tokens from tokenizer_config.json. What the file asks for and is not
// supported is refused when loading, by file and key.
//
//   ATTNRL_ASSIGN_OR_RETURN(text::Tokenizer tokenizer, text::Tokenizer::Load(model_dir));
//   std::vector<int32_t> ids = tokenizer.Encode("1+1=");
//   std::string text = tokenizer.Decode(ids);
//
// Immutable: every member may be called from any thread. Copies are cheap and share the tables.
class Tokenizer {
 public:
  // Reads `model_dir`/tokenizer.json, and tokenizer_config.json where there is one.
  static absl::StatusOr<Tokenizer> Load(const std::string& model_dir);

  // Ids of `text`. Special tokens written in it are recognised, none is added. Ill-formed UTF-8
  // counts as U+FFFD.
  std::vector<int32_t> Encode(std::string_view text) const;

  // The bytes of all tokens joined, then as UTF-8 with U+FFFD for what is ill-formed. Ids outside
  // the vocabulary stand for nothing (a model may have more rows than its tokenizer has tokens).
  std::string Decode(std::span<const int32_t> ids, bool keep_special = true) const;

  // What one token contributes to Decode, before the joining: possibly half a character.
  std::string_view TokenBytes(int32_t id) const;

  // Largest id + 1.
  int32_t size() const;

  // True for every token in the list "added_tokens", special or not.
  bool IsAdded(int32_t id) const;
  std::optional<int32_t> AddedTokenId(std::string_view content) const;

  // tokenizer_config.json's tokens; the texts are empty where it names none.
  const std::string& bos_token() const;
  const std::string& eos_token() const;
  std::optional<int32_t> eos_id() const;

 private:
  struct Tables;
  explicit Tokenizer(std::shared_ptr<const Tables> tables) : tables_(std::move(tables)) {}

  std::shared_ptr<const Tables> tables_;
};

}  // namespace attnrl::text
