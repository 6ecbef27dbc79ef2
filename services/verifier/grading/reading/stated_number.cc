// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/reading/stated_number.h"

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "services/verifier/grading/tokens/characters.h"

namespace attnrl::verifier {
namespace {

// What may stand right in front of a number that is no part of a formula.
bool MayPrecede(char c) { return IsSpace(c) || c == '$' || c == ':' || c == '=' || c == '*'; }

struct Number {
  size_t begin;
  size_t end;
};

// Digits from `at` on, with separators that have a digit behind them.
size_t DigitsEnd(std::string_view text, size_t at) {
  while (at < text.size()) {
    const bool separator = text[at] == ',' || text[at] == '.' || text[at] == '/';
    if (!IsDigit(text[at]) && !(separator && at + 1 < text.size() && IsDigit(text[at + 1]))) break;
    ++at;
  }
  return at;
}

// The number that has its first digit at `at`; nullopt: it is a part of something else.
std::optional<Number> NumberAt(std::string_view text, size_t at) {
  Number number = {at, DigitsEnd(text, at)};
  if (at > 0 && text[at - 1] == '-') --number.begin;
  if (number.begin > 0 && !MayPrecede(text[number.begin - 1])) return std::nullopt;
  const std::string_view behind = text.substr(number.end);
  if (behind.starts_with("%")) number.end += 1;
  if (behind.starts_with("\\%")) number.end += 2;
  constexpr std::string_view kMayFollow = " \n\t\r.,;:!?*$)";
  // A currency is another character than those of ASCII.
  const bool ends = number.end == text.size() ||
                    kMayFollow.find(text[number.end]) != std::string_view::npos ||
                    static_cast<unsigned char>(text[number.end]) >= 0x80;
  if (!ends) return std::nullopt;
  return number;
}

constexpr std::string_view kStating[] = {
    "is",    "are",           "be",   "was", "were",   "by", "equals", "exactly", "about",  "total",
    "gives", "approximately", "only", "get", "obtain", "=",  "means",  "costs",   "remains"};
constexpr size_t kLongestStating = std::ranges::max(kStating, {}, &std::string_view::size).size();

// The end of a longer word, as far as it shows that the word is none of the above: a formula
// without white space may be as long as the response, and each of its numbers asks.
std::string_view WordBefore(std::string_view text, size_t end) {
  while (end > 0 && (IsSpace(text[end - 1]) || text[end - 1] == '$')) --end;
  size_t begin = end;
  while (begin > 0 && end - begin <= kLongestStating && !IsSpace(text[begin - 1])) --begin;
  return text.substr(begin, end - begin);
}

bool IsStated(std::string_view text, const Number& number) {
  const std::string_view word = WordBefore(text, number.begin);
  if (word.ends_with(':')) return true;
  return word.size() <= kLongestStating &&
         std::find(std::begin(kStating), std::end(kStating), word) != std::end(kStating);
}

template <typename Wanted>
std::optional<std::string_view> Last(std::string_view text, Wanted wanted) {
  std::optional<std::string_view> last;
  for (size_t at = 0; at < text.size(); ++at) {
    if (!IsDigit(text[at])) continue;
    const std::optional<Number> number = NumberAt(text, at);
    if (number && wanted(*number)) last = text.substr(number->begin, number->end - number->begin);
    at = DigitsEnd(text, at);
  }
  return last;
}

}  // namespace

std::optional<std::string_view> LastStatedNumber(std::string_view text) {
  return Last(text, [text](const Number& number) { return IsStated(text, number); });
}

std::optional<std::string_view> LastNumber(std::string_view text) {
  return Last(text, [](const Number&) { return true; });
}

}  // namespace attnrl::verifier
