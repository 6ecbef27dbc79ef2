// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/reading/answer.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "services/verifier/grading/reading/extract.h"
#include "services/verifier/grading/reading/parser.h"
#include "services/verifier/grading/tokens/characters.h"

namespace attnrl::verifier {
namespace {

// "\\\\frac", and no matrix, in which "\\\\" ends a row.
bool LooksDoubled(std::string_view text) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  bool doubled = false;
  for (size_t i = 0; i + 1 < text.size(); ++i) {
    if (text[i] != '\\') continue;
    if (text[i + 1] != '\\') return false;
    doubled = doubled || (i + 2 < text.size() && is_letter(text[i + 2]));
    ++i;
  }
  return doubled;
}

// "papers and", "" and ",": what may stand around the boxes of a list in an accepted answer.
bool MaySeparate(std::string_view between, bool first) {
  const auto is_other = [](char c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return !letter && std::string_view(" ,;$\n.").find(c) == std::string_view::npos;
  };
  if (std::any_of(between.begin(), between.end(), is_other)) return false;
  constexpr size_t kFewWords = 30;
  if (between.size() > kFewWords) return false;
  const std::string_view trimmed = Trimmed(between);
  return first || trimmed.find_first_not_of(",;$.") == std::string_view::npos ||
         trimmed.ends_with(" and") || trimmed == "and" || trimmed.ends_with(',');
}

// "\boxed{2}, \boxed{3} and \boxed{5}" is a list of boxes: "2, 3, 5". Empty: it is something else.
std::string ListOfBoxes(std::string_view text) {
  constexpr std::string_view kBox = "\\boxed{";
  std::string list;
  int boxes = 0;
  while (!text.empty()) {
    const std::string_view between = text.substr(0, std::min(text.find(kBox), text.size()));
    text.remove_prefix(between.size());
    if (!MaySeparate(between, boxes == 0 || text.empty())) return {};
    if (text.empty()) break;
    int level = 0;
    size_t end = kBox.size() - 1;
    for (; end < text.size(); ++end) {
      if (text[end] == '{') ++level;
      if (text[end] == '}' && --level == 0) break;
    }
    if (end == text.size()) return {};
    if (boxes++ > 0) list += ", ";
    list += text.substr(kBox.size(), end - kBox.size());
    text.remove_prefix(end + 1);
  }
  return boxes > 1 ? list : "";
}

// "2,74" of who writes decimal numbers with a comma: the same with a point; empty: it is none.
// Three digits are thousands ("2,740") unless only 0 is before them. An accepted "1,2" may well be
// a list; "0,111" is none.
std::string WithDecimalPoint(std::string_view written, Side side) {
  std::string text(written);
  if (const size_t braced = text.find("{,}"); braced != std::string::npos) {
    text.erase(braced + 2, 1).erase(braced, 1);
  }
  constexpr std::string_view kDigits = "0123456789";
  constexpr size_t kGroupDigits = 3;
  const size_t comma = text.find(',');
  const bool one =
      comma != std::string::npos && comma > 0 && text.find(',', comma + 1) == std::string::npos &&
      text.find_first_of(".([") == std::string::npos && text.find("\\{") == std::string::npos;
  if (!one) return {};
  // npos + 1 is the beginning.
  const size_t begin = text.find_last_not_of(kDigits, comma - 1) + 1;
  const std::string whole = text.substr(begin, comma - begin);
  const size_t end = std::min(text.find_first_not_of(kDigits, comma + 1), text.size());
  const size_t decimals = end - comma - 1;
  const bool no_thousands = whole == "0" || (side == Side::kGiven && decimals != kGroupDigits);
  const bool no_list = side == Side::kGiven || decimals >= kGroupDigits;
  if (whole.empty() || decimals == 0 || !no_thousands || !no_list) return {};
  text[comma] = '.';
  return text;
}

// "So the answer is $28 \\%$. ...": an accepted answer that is a text in words.
std::optional<std::string_view> AnswerOfText(std::string_view accepted) {
  if (accepted.find("nswer is") == std::string_view::npos) return std::nullopt;
  const std::optional<Extracted> found = FindAnswer(accepted);
  constexpr std::string_view kFormula = "0123456789-$\\";
  if (!found || found->text.empty()) return std::nullopt;
  const size_t before = static_cast<size_t>(found->text.data() - accepted.data());
  const bool formula =
      kFormula.find(found->text[0]) != std::string_view::npos ||
      (before > 0 && kFormula.find(accepted[before - 1]) != std::string_view::npos);
  if (!formula) return std::nullopt;
  return found->text;
}

}  // namespace

std::vector<Reading> ReadAnswer(std::string_view text, Side side, int depth, Work& work) {
  std::vector<Reading> readings;
  const bool commas = text.find(',') != std::string_view::npos;
  for (const Commas commas_are : {Commas::kList, Commas::kThousands}) {
    if (commas_are != Commas::kList && !commas) break;
    std::optional<Tokens> tokens = ReadLatex(text, commas_are, depth, work);
    if (!tokens || tokens->empty()) return {};
    if (!readings.empty() && tokens->size() == readings[0].tokens.size()) break;
    std::optional<Expression> expression = Parse(*tokens, depth, work);
    if (work.exhausted()) return {};
    readings.push_back({*std::move(tokens), std::move(expression)});
  }
  if (const std::string point = commas ? WithDecimalPoint(text, side) : ""; !point.empty()) {
    std::optional<Tokens> tokens = ReadLatex(point, Commas::kList, depth, work);
    if (!tokens) return {};
    std::optional<Expression> expression = Parse(*tokens, depth, work);
    if (work.exhausted()) return {};
    readings.push_back({*std::move(tokens), std::move(expression)});
  }
  return readings;
}

std::string Undoubled(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    out += text[i];
    if (text[i] == '\\' && i + 1 < text.size() && text[i + 1] == '\\') ++i;
  }
  return out;
}

std::string Unwrapped(std::string_view accepted) {
  constexpr std::string_view kMark = "####";
  if (const size_t mark = accepted.rfind(kMark); mark != std::string_view::npos) {
    accepted = accepted.substr(mark + kMark.size());
  }
  if (std::string list = ListOfBoxes(accepted); !list.empty()) return list;
  if (const std::optional<Extracted> box = ExtractAnswer(accepted)) {
    return std::string(Trimmed(box->doubled ? Undoubled(box->text) : std::string(box->text)));
  }
  if (const std::optional<std::string_view> text = AnswerOfText(accepted)) accepted = *text;
  accepted = Trimmed(accepted);
  if (LooksDoubled(accepted)) return Undoubled(accepted);
  return std::string(accepted);
}

}  // namespace attnrl::verifier
