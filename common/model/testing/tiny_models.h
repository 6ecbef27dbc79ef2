// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/model/files/config.h"
#include "common/testing/shared_data.h"

namespace attnrl::model {

// For tests only.

// A small decoder; qk_norm, biases and ties as asked for by the test.
inline ModelConfig SmallConfig() {
  ModelConfig config;
  config.vocab_size = 40;
  config.hidden_size = 32;
  config.intermediate_size = 48;
  config.layers = 2;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 8;
  config.max_position_embeddings = 128;
  config.initializer_range = 0.2;
  config.qkv_bias = true;
  return config;
}

inline const std::vector<std::string>& OracleModels() {
  static const std::vector<std::string> models = {"qwen2-tiny", "llama-tiny", "qwen3-tiny"};
  return models;
}

inline std::vector<nlohmann::json> ReadLines(const std::string& path) {
  std::vector<nlohmann::json> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

}  // namespace attnrl::model
