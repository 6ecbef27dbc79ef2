// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/reading/answer.h"

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
  if (const std::optional<Extracted> box = ExtractAnswer(accepted)) {
    return std::string(Trimmed(box->doubled ? Undoubled(box->text) : std::string(box->text)));
  }
  accepted = Trimmed(accepted);
  if (LooksDoubled(accepted)) return Undoubled(accepted);
  return std::string(accepted);
}

}  // namespace attnrl::verifier
