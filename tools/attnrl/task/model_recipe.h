// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace attnrl::tools {

// What the embedded model's folder holds besides its weights, as (file name, content): config.json
// (Qwen2, 0.8 M parameters, bfloat16), generation_config.json, tokenizer.json and
// tokenizer_config.json. `attnrl sft` makes weights for such a folder.
//
// The tokenizer knows the 256 bytes (id = byte), the number 10, the blank line and the word "boxed"
// as merges, <|endoftext|> and <|pad|>. Its split pattern is Llama-3's, the published one that
// keeps both 10 and a blank line before text in one piece.
std::vector<std::pair<std::string, std::string>> ModelRecipe();

// Writes those files into `folder`, which is made where it is missing.
absl::Status WriteModelRecipe(const std::string& folder);

}  // namespace attnrl::tools
