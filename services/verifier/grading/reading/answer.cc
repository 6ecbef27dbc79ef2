// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/reading/answer.h"

#include <algorithm>
#include <utility>

#include "services/verifier/grading/reading/extract.h"
#include "services/verifier/grading/reading/parser.h"

namespace attnrl::verifier {
namespace {

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

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

// "\boxed{2}, \boxed{3} and \boxed{5}" is a list of boxes: "2, 3, 5". Empty: it is something else.
std::string ListOfBoxes(std::string_view text) {
  constexpr std::string_view kBox = "\\boxed{";
  std::string list;
  int boxes = 0;
  while (!text.empty()) {
    const std::string_view between = text.substr(0, std::min(text.find(kBox), text.size()));
    const bool separates = between.find_first_not_of(" ,;$\n") == std::string_view::npos ||
                           Trimmed(between) == "and" || Trimmed(between) == ", and";
    if (!separates) return {};
    text.remove_prefix(between.size());
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

}  // namespace

std::vector<Reading> ReadAnswer(std::string_view text, int depth, Work& work) {
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
  accepted = Trimmed(accepted);
  if (LooksDoubled(accepted)) return Undoubled(accepted);
  return std::string(accepted);
}

}  // namespace attnrl::verifier
