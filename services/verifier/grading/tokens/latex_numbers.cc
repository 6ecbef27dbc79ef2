// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <utility>

#include "services/verifier/grading/tokens/characters.h"
#include "services/verifier/grading/tokens/latex.h"

namespace attnrl::verifier {
namespace {

// A group of thousands as it was written: exactly three digits.
constexpr size_t kGroupDigits = 3;

// Digits as written, before needless zeros are dropped.
struct Piece {
  Token token;
  bool number = false;
};

std::vector<Piece> JoinDigits(Tokens tokens) {
  std::vector<Piece> pieces;
  bool has_point = false;
  for (size_t i = 0; i < tokens.size(); ++i) {
    Token& token = tokens[i];
    bool digit = token.text.size() == 1 && IsDigit(token.text[0]);
    bool next_digit = i + 1 < tokens.size() && tokens[i + 1].text.size() == 1 &&
                      IsDigit(tokens[i + 1].text[0]) && !tokens[i + 1].spaced;
    bool after_number = !pieces.empty() && pieces.back().number && !token.spaced;
    if (digit && after_number) {
      pieces.back().token.text += token.text;
    } else if (token.text == "." && (after_number ? !has_point : next_digit)) {
      if (!after_number)
        pieces.push_back({{.text = "", .spaced = token.spaced, .styled = token.styled}, true});
      pieces.back().token.text += ".";
      has_point = true;
    } else {
      if (digit) has_point = false;
      pieces.push_back({std::move(token), digit});
    }
  }
  return pieces;
}

// How many pieces from `begin` on are one number with separators "," (as `commas` says), "{,}", or
// a space. All separators are of one kind, and every group but the first has three digits.
size_t ThousandsRun(const std::vector<Piece>& pieces, size_t begin, Commas commas, Work& work) {
  const std::string& first = pieces[begin].token.text;
  // "0,170" is no thousands.
  if (first.size() > kGroupDigits || first.find('.') != std::string::npos || first[0] == '0') {
    return 1;
  }
  size_t end = begin + 1;
  bool spaces = false;
  while (end < pieces.size() && work.Spend(1)) {
    bool separator =
        pieces[end].token.text == "{,}" ||
        (pieces[end].token.text == "," && commas != Commas::kList && !pieces[end].token.spaced);
    size_t group = separator ? end + 1 : end;
    if (group >= pieces.size() || !pieces[group].number) break;
    const bool spaced = pieces[group].token.spaced;
    if (pieces[end].token.text != "{,}" && separator == spaced) break;
    if (end > begin + 1 && spaces != !separator) break;
    spaces = !separator;
    const std::string& digits = pieces[group].token.text;
    size_t whole = std::min(digits.find('.'), digits.size());
    // One group of another length, and it is a list or a product, as a whole.
    if (whole != kGroupDigits) return 1;
    end = group + 1;
    if (whole != digits.size()) break;
  }
  return end - begin;
}

// Without leading zeros, zeros behind the point and a point at the end.
std::string Canonical(std::string digits) {
  if (size_t point = digits.find('.'); point != std::string::npos) {
    size_t last = digits.find_last_not_of('0');
    digits.erase(last == point ? point : last + 1);
  }
  size_t first = digits.find_first_not_of('0');
  digits.erase(0, std::min(first, digits.size()));
  if (digits.empty() || digits[0] == '.') digits.insert(0, "0");
  return digits;
}

}  // namespace

bool IsNumber(const Token& token) { return !token.text.empty() && IsDigit(token.text[0]); }

Tokens JoinNumbers(Tokens tokens, Commas commas, Work& work) {
  std::vector<Piece> pieces = JoinDigits(std::move(tokens));
  Tokens joined;
  joined.reserve(pieces.size());
  int brackets = 0;
  for (size_t i = 0; i < pieces.size();) {
    Token& token = pieces[i].token;
    if (!pieces[i].number) {
      const std::string& text = token.text;
      if (text == "(" || text == "[" || text == "\\{") ++brackets;
      if (text == ")" || text == "]" || text == "\\}") --brackets;
      if (text == "{,}") token.text = ",";
      joined.push_back(std::move(token));
      ++i;
      continue;
    }
    size_t run = ThousandsRun(pieces, i, brackets > 0 ? Commas::kList : commas, work);
    std::string digits = std::move(token.text);
    for (size_t k = 1; k < run; ++k) {
      if (pieces[i + k].number) digits += pieces[i + k].token.text;
    }
    Token number = {.text = "", .spaced = token.spaced, .styled = token.styled};
    const size_t point = digits.find('.');
    number.digits = static_cast<int64_t>(digits.size() - (point == std::string::npos ? 0 : 1));
    if (point != std::string::npos)
      number.decimals = static_cast<int64_t>(digits.size() - point - 1);
    if (const size_t first = digits.find_first_not_of("0."); first != std::string::npos) {
      number.significant = static_cast<int64_t>(
          digits.size() - first - (point > first && point != std::string::npos ? 1 : 0));
    }
    // 22,0500 is no list of 22 and 500.
    const bool grouped = run == 1 && !token.spaced && digits.size() > 1 && digits[0] == '0' &&
                         digits[1] != '.' && joined.size() > 1 && joined.back().text == "," &&
                         IsNumber(joined[joined.size() - 2]);
    number.text = grouped ? std::move(digits) : Canonical(std::move(digits));
    joined.push_back(std::move(number));
    i += run;
  }
  return joined;
}

}  // namespace attnrl::verifier
