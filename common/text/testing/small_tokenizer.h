// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "common/testing/temporary_folder.h"
#include "common/text/byte_alphabet.h"
#include "common/text/tokenizer.h"

namespace attnrl::text {

// A tokenizer.json of the 256 bytes (id = byte), "th", "the" and " the" (256 to 258), GPT-2's split
// and one special token, <end> (259).
inline nlohmann::json SmallTokenizer() {
  nlohmann::json vocabulary = nlohmann::json::object();
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary[ByteCharacter(static_cast<uint8_t>(byte))] = byte;
  }
  vocabulary["th"] = 256;
  vocabulary["the"] = 257;
  vocabulary["Ġthe"] = 258;
  const nlohmann::json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}};
  const nlohmann::json end = {{"id", 259}, {"content", "<end>"}, {"special", true}};
  return {{"added_tokens", nlohmann::json::array({end})},
          {"normalizer", nullptr},
          {"pre_tokenizer", byte_level},
          {"decoder", byte_level},
          {"model",
           {{"type", "BPE"},
            {"vocab", vocabulary},
            {"merges", nlohmann::json::array({"t h", "th e", "Ġ the"})}}}};
}

// The tokenizer of such a tokenizer.json. Throws std::runtime_error where it can't be loaded.
inline Tokenizer LoadTokenizer(const nlohmann::json& json) {
  const TemporaryFolder folder;
  folder.Write("tokenizer.json", json.dump());
  auto tokenizer = Tokenizer::Load(folder.path());
  if (!tokenizer.ok()) throw std::runtime_error(std::string(tokenizer.status().message()));
  return *std::move(tokenizer);
}

}  // namespace attnrl::text
