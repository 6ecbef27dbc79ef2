// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/graders/choices.h"

#include <cstddef>
#include <optional>
#include <set>
#include <string_view>

namespace attnrl::verifier {
namespace {

bool IsCapital(char c) { return c >= 'A' && c <= 'H'; }
char Capital(char c) { return c >= 'a' && c <= 'h' ? static_cast<char>(c - 'a' + 'A') : c; }

// Letters between commas, each with or without parentheses; nullopt: there is something else.
std::optional<std::set<char>> Letters(const Tokens& tokens, bool wanted) {
  std::set<char> letters;
  const auto text = [&](size_t at) {
    return at < tokens.size() ? std::string_view(tokens[at].text) : std::string_view();
  };
  for (size_t at = 0; at < tokens.size(); ++at) {
    const bool parentheses = text(at) == "(";
    if (parentheses) ++at;
    if (text(at).size() != 1 || !IsCapital(Capital(text(at)[0]))) return std::nullopt;
    const bool choice = parentheses || (tokens[at].styled && IsCapital(text(at)[0]));
    if (wanted && !choice) return std::nullopt;
    if (!letters.insert(Capital(text(at)[0])).second) return std::nullopt;
    ++at;
    if (parentheses && text(at++) != ")") return std::nullopt;
    if (at < tokens.size() && text(at) != ",") return std::nullopt;
    if (at + 1 == tokens.size()) return std::nullopt;
  }
  return letters;
}

}  // namespace

bool SameChoices(const Tokens& given, const Tokens& wanted) {
  const std::optional<std::set<char>> theirs = Letters(wanted, true);
  return theirs && !theirs->empty() && Letters(given, false) == theirs;
}

}  // namespace attnrl::verifier
