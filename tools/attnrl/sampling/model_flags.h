// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/command_line/command.h"
#include "common/model/files/config.h"
#include "common/text/tokenizer.h"

namespace attnrl::tools {

// The flags that every command with a model has (tools/attnrl/README.md, "Model tools").
struct ModelFlags {
  std::string model = {};  // folder in Hugging Face layout
  std::string device = "cpu";
  std::string dtype = {};  // empty: that of config.json
  std::string chat_template = {};
  int threads = 0;  // 0: one a processor
};
void AddModelFlags(Command& command, ModelFlags* flags);

// What is known of a model before its weights are read.
struct ModelFolder {
  model::ModelConfig config;
  model::DType dtype = model::DType::kFloat32;
  text::Tokenizer tokenizer;
  std::vector<int32_t> end_tokens;
  int threads = 1;
};
// Checks the flags and reads config.json, the tokenizer and the end tokens. InputError.
absl::StatusOr<ModelFolder> OpenModelFolder(const ModelFlags& flags);

}  // namespace attnrl::tools
