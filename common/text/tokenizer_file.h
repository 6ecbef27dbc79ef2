// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace attnrl::text {

struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool special = false;     // left out by decoding without special tokens
  bool normalized = false;  // looked for after normalisation instead of before it
};

// What tokenizer.json says, as read: plain data, checked only for its types.
struct TokenizerFile {
  std::string path;
  std::vector<std::pair<std::string, int32_t>> vocabulary;  // model.vocab, in the file's order
  std::vector<std::pair<std::string, std::string>> merges;  // model.merges, best first
  std::vector<AddedToken> added_tokens;
  nlohmann::json rest;  // everything else, model without its vocab and merges
};

// Reads `path`. The two large members never become a JSON tree, so that 150,000 tokens load in a
// tenth of a second. InputErrors name the file and the key.
absl::StatusOr<TokenizerFile> ReadTokenizerFile(const std::string& path);

// A small JSON file (tokenizer_config.json and the like).
absl::StatusOr<nlohmann::json> ReadJsonFile(const std::string& path);

// The whole file; InputError where it can't be read.
absl::StatusOr<std::string> ReadTextFile(const std::string& path);

}  // namespace attnrl::text
