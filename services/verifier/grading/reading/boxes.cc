// SPDX-License-Identifier: Apache-2.0
// What stands between two boxes: whether they are one list.
#include "services/verifier/grading/reading/boxes.h"

#include <algorithm>
#include <iterator>

namespace attnrl::verifier {
namespace {

// Layout, longest first: "\quad" before "\q...".
constexpr std::string_view kLayout[] = {"\\textnormal{",
                                        "\\textrm{",
                                        "\\mathrm{",
                                        "\\text{",
                                        "\\mbox{",
                                        "\\qquad",
                                        "\\quad",
                                        "\\[",
                                        "\\]",
                                        "\\(",
                                        "\\)",
                                        "\\,",
                                        "\\;",
                                        "\\:",
                                        "\\!",
                                        "\\ ",
                                        "$",
                                        "}",
                                        "~",
                                        "*",
                                        " ",
                                        "\t",
                                        "\r",
                                        "\n"};
constexpr std::string_view kSeparators[] = {"and", "or", ",", ";"};
// "for part (a) and": which of the questions the box in front answers.
constexpr std::string_view kQuestions[] = {"for part", "for case", "for question", "for"};

template <size_t size>
bool TakeAny(const std::string_view (&words)[size], std::string_view& text) {
  const auto found = std::find_if(std::begin(words), std::end(words),
                                  [&](std::string_view word) { return text.starts_with(word); });
  if (found == std::end(words)) return false;
  text.remove_prefix(found->size());
  return true;
}

void SkipLayout(std::string_view& text) {
  while (TakeAny(kLayout, text)) {
  }
}

// " (a)"
bool TakeLabel(std::string_view& text) {
  constexpr size_t kLabel = 4;
  if (text.size() < kLabel || text[0] != ' ' || text[1] != '(' || text[3] != ')') return false;
  text.remove_prefix(kLabel);
  return true;
}

}  // namespace

bool JoinsBoxes(std::string_view between) {
  constexpr size_t kLongest = 100;
  if (between.size() > kLongest) return false;
  SkipLayout(between);
  if (TakeAny(kQuestions, between) && !TakeLabel(between)) return false;
  bool separated = false;
  while (true) {
    SkipLayout(between);
    if (between.empty()) return separated;
    if (!TakeAny(kSeparators, between)) return false;
    separated = true;
  }
}

}  // namespace attnrl::verifier
