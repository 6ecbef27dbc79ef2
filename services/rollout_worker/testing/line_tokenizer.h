// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "common/text/byte_alphabet.h"
#include "common/text/testing/small_tokenizer.h"
#include "common/text/tokenizer.h"

namespace attnrl::rollout {

// For tests only: a tokenizer of kLineVocabulary tokens, so many of them with a line end or a blank
// line that a random model says them often.
inline constexpr int32_t kLineVocabulary = 400;
inline constexpr int32_t kThinkEnd = kLineVocabulary - 1;

inline text::Tokenizer MakeLineTokenizer(bool with_lines = true) {
  nlohmann::json json = text::SmallTokenizer();
  const std::string line = text::ByteCharacter('\n');
  for (int32_t id = 260; with_lines && id < kThinkEnd; ++id) {
    const std::string letter = text::ByteCharacter(static_cast<uint8_t>(id - 200));
    json["model"]["vocab"][(id % 16 == 0 ? line + line : line) + letter] = id;
  }
  json["added_tokens"].push_back({{"id", kThinkEnd}, {"content", "</think>"}, {"special", false}});
  return text::LoadTokenizer(json);
}

}  // namespace attnrl::rollout
