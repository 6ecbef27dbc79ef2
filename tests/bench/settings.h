// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <iostream>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/model/files/config.h"

// What the benchmarks share: settings as key=value, and a small model of the sizes that they name.
namespace attnrl {

using Settings = std::map<std::string, int64_t>;

// Takes the flags over the defaults in `settings`. Prints one line and returns false for a flag
// that isn't key=number with one of their keys.
inline bool Parse(int argc, char** argv, Settings* settings) {
  for (int i = 1; i < argc; ++i) {
    const std::pair<std::string, std::string> flag =
        absl::StrSplit(argv[i], absl::MaxSplits('=', 1));
    int64_t value = 0;
    if (!settings->contains(flag.first) || !absl::SimpleAtoi(flag.second, &value)) {
      std::cerr << "error: " << argv[i] << ": not a setting; "
                << absl::StrJoin(*settings, " ", absl::PairFormatter("=")) << std::endl;
      return false;
    }
    (*settings)[flag.first] = value;
  }
  return true;
}

// Tied embeddings, biases, `tokens` long at most; an intermediate size of 0 is three times the
// hidden one.
inline model::ModelConfig BenchModel(const Settings& settings, int64_t tokens) {
  model::ModelConfig config;
  config.vocab_size = settings.at("vocab");
  config.hidden_size = settings.at("hidden");
  config.intermediate_size = settings.at("intermediate");
  if (config.intermediate_size == 0) config.intermediate_size = 3 * config.hidden_size;
  config.layers = settings.at("layers");
  config.heads = settings.at("heads");
  config.kv_heads = settings.at("kv_heads");
  config.head_dim = config.hidden_size / config.heads;
  config.max_position_embeddings = tokens;
  config.qkv_bias = true;
  config.tie_word_embeddings = true;
  return config;
}

}  // namespace attnrl
