// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace attnrl {

// How an enum's values are written in configuration files, flags and records: pairs, so that
// neither the order of the enum nor that of the table means anything. An enum that has words has a
// function beside it, found by its argument, which lists them in the order that people see:
//
//   inline std::vector<Word<PipelineMode>> WordsOf(PipelineMode) { return {{"overlapped", ...}}; }
template <typename Enum>
struct Word {
  std::string_view word;
  Enum value;
};

// The word of `value`; "?" for a value that has none, which only a cast can make.
template <typename Enum>
std::string_view WordOf(Enum value) {
  for (const Word<Enum>& each : WordsOf(value)) {
    if (each.value == value) return each.word;
  }
  return "?";
}

// The value of `word`; nullopt where it is none of the enum's.
template <typename Enum>
std::optional<Enum> ValueOf(std::string_view word) {
  for (const Word<Enum>& each : WordsOf(Enum{})) {
    if (each.word == word) return each.value;
  }
  return std::nullopt;
}

}  // namespace attnrl
