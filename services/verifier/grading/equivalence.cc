// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/equivalence.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "services/verifier/grading/quantity.h"

namespace attnrl::verifier {
namespace {

using Span = std::span<const Token>;

bool Opens(std::string_view text) {
  return text == "(" || text == "[" || text == "\\{" || text == "{" || text == "\\langle";
}
bool Closes(std::string_view text) {
  return text == ")" || text == "]" || text == "\\}" || text == "}" || text == "\\rangle";
}

// An answer taken apart: its brackets, if one pair encloses all of it, and the members between the
// commas of the outermost level.
struct Parts {
  std::string_view open;
  std::string_view close;
  std::vector<Span> members;
};

// For each opening bracket the position of the one that closes it, by nesting alone; npos for what
// is never closed and for all else. Linear.
constexpr size_t kNoClose = static_cast<size_t>(-1);
std::vector<size_t> Closings(Span tokens) {
  std::vector<size_t> closings(tokens.size(), kNoClose);
  std::vector<size_t> open;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (Opens(tokens[i].text)) open.push_back(i);
    if (Closes(tokens[i].text) && !open.empty()) {
      closings[open.back()] = i;
      open.pop_back();
    }
  }
  return closings;
}

Parts Split(Span tokens) {
  Parts parts;
  if (tokens.size() > 1 && tokens[0].text != "{" && Closings(tokens)[0] == tokens.size() - 1) {
    parts.open = tokens.front().text;
    parts.close = tokens.back().text;
    tokens = tokens.subspan(1, tokens.size() - 2);
  }
  int level = 0;
  size_t begin = 0;
  for (size_t i = 0; i <= tokens.size(); ++i) {
    if (i == tokens.size() || (level == 0 && tokens[i].text == ",")) {
      parts.members.push_back(tokens.subspan(begin, i - begin));
      begin = i + 1;
      continue;
    }
    if (Opens(tokens[i].text)) ++level;
    if (Closes(tokens[i].text)) --level;
  }
  return parts;
}

// The number of brackets around the outermost comma; 0 where there is none.
size_t LevelOfOutermostComma(Span tokens) {
  size_t outermost = 0;
  size_t level = 0;
  for (const Token& token : tokens) {
    if (Opens(token.text)) ++level;
    if (Closes(token.text) && level > 0) --level;
    if (token.text == "," && level > 0 && (outermost == 0 || level < outermost)) outermost = level;
  }
  return outermost;
}

// Drops what means nothing around an answer: "x =" with a single letter, plain parentheses.
Span Bare(Span tokens, Work& work) {
  bool letter = tokens.size() > 2 && tokens[1].text == "=" && tokens[0].text.size() == 1 &&
                !IsNumber(tokens[0]);
  if (letter && std::find(tokens.begin() + 2, tokens.end(), tokens[1]) == tokens.end()) {
    tokens = tokens.subspan(2);
  }
  if (tokens.empty() || tokens[0].text != "(") return tokens;
  if (!work.Spend(static_cast<int64_t>(tokens.size()))) return tokens;
  const std::vector<size_t> closings = Closings(tokens);
  size_t first = 0;
  size_t end = tokens.size();
  // Up to the pair whose members are separated by commas: that one means something.
  const size_t innermost = LevelOfOutermostComma(tokens);
  while (first < end && tokens[first].text == "(" && closings[first] == end - 1 &&
         tokens[end - 1].text == ")" && first + 1 != innermost) {
    ++first;
    --end;
  }
  return tokens.subspan(first, end - first);
}

bool EqualSets(const Parts& a, const Parts& b, int depth, Work& work) {
  std::vector<bool> used(b.members.size(), false);
  for (Span member : a.members) {
    size_t i = 0;
    while (i < b.members.size() && (used[i] || !Equivalent(member, b.members[i], depth, work))) ++i;
    if (i == b.members.size()) return false;
    used[i] = true;
  }
  return true;
}

bool EqualParts(const Parts& a, const Parts& b, int depth, Work& work) {
  if (a.open != b.open || a.close != b.close || a.members.size() != b.members.size()) return false;
  if (a.members.size() < 2 && a.open.empty()) return false;
  if (a.open == "\\{") return EqualSets(a, b, depth, work);
  for (size_t i = 0; i < a.members.size(); ++i) {
    if (!Equivalent(a.members[i], b.members[i], depth, work)) return false;
  }
  return true;
}

}  // namespace

bool Equivalent(Span given, Span wanted, int depth, Work& work) {
  if (depth == 0) work.Exhaust();
  Span a = Bare(given, work);
  Span b = Bare(wanted, work);
  if (!work.Spend(static_cast<int64_t>(a.size() + b.size()) + 1)) return false;
  if (a.empty() || b.empty()) return false;
  // Tokens that hide a space between two numbers ("1 2") equal only themselves.
  if (std::equal(a.begin(), a.end(), b.begin(), b.end())) return true;
  std::optional<Quantity> left = ReadQuantity(a, depth, work);
  if (left) {
    std::optional<Quantity> right = ReadQuantity(b, depth, work);
    return right && EqualQuantities(*left, *right, work) && !work.exhausted();
  }
  return !work.exhausted() && EqualParts(Split(a), Split(b), depth - 1, work);
}

}  // namespace attnrl::verifier
