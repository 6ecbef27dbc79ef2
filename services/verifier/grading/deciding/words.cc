// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/deciding/words.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string>

namespace attnrl::verifier {
namespace {

constexpr std::string_view kShort[] = {"yes", "no",  "odd", "one", "two", "six", "ten",
                                       "not", "the", "all", "any", "red", "tie"};
// Which are also written in capitals throughout.
constexpr std::string_view kCapital[] = {"yes", "no",   "true", "false",  "none",
                                         "odd", "even", "both", "always", "never"};
constexpr size_t kLongWord = 4;

bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }

std::string Lower(std::string_view word) {
  std::string lower(word);
  for (char& c : lower) c = IsUpper(c) ? static_cast<char>(c - 'A' + 'a') : c;
  return lower;
}

template <size_t size>
bool IsOneOf(const std::string& word, const std::string_view (&words)[size]) {
  return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

// "Even", "even", and "EVEN" where people shout.
bool IsWord(std::string_view word) {
  const std::string lower = Lower(word);
  if (IsOneOf(lower, kCapital) && std::all_of(word.begin(), word.end(), IsUpper)) return true;
  return (word.size() >= kLongWord || IsOneOf(lower, kShort)) &&
         std::all_of(word.begin() + 1, word.end(), IsLower);
}

std::string_view NextWord(std::string_view& text) {
  const std::string_view word = text.substr(0, std::min(text.find(' '), text.size()));
  text.remove_prefix(std::min(word.size() + 1, text.size()));
  return word;
}

}  // namespace

bool SameWords(std::string_view a, std::string_view b) {
  while (!a.empty() && !b.empty()) {
    const std::string_view mine = NextWord(a);
    const std::string_view theirs = NextWord(b);
    if (mine == theirs) continue;
    if (Lower(mine) != Lower(theirs) || !IsWord(mine) || !IsWord(theirs)) return false;
  }
  return a.empty() && b.empty();
}

}  // namespace attnrl::verifier
