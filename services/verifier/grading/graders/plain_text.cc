// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/graders/plain_text.h"

#include "services/verifier/grading/tokens/characters.h"

namespace attnrl::verifier {
namespace {

constexpr std::string_view kStyles[] = {"\\text{",   "\\textbf{", "\\textit{", "\\textrm{",
                                        "\\mathrm{", "\\mathbf{", "\\mbox{",   "\\texttt{"};

// Whether the brace that closes the first one is the last character.
bool EnclosesAll(std::string_view text, size_t open) {
  int level = 0;
  for (size_t i = open; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '{') {
      ++level;
    } else if (text[i] == '}' && --level == 0) {
      return i + 1 == text.size();
    }
  }
  return false;
}

}  // namespace

std::string PlainText(std::string_view text) {
  while (true) {
    text = Trimmed(text);
    if (text.size() > 1 && text.front() == '$' && text.back() == '$') {
      text = text.substr(1, text.size() - 2);
      continue;
    }
    std::string_view inside = text;
    for (const std::string_view style : kStyles) {
      if (text.starts_with(style) && EnclosesAll(text, style.size() - 1)) {
        inside = text.substr(style.size(), text.size() - style.size() - 1);
      }
    }
    if (inside.size() == text.size()) return std::string(text);
    text = inside;
  }
}

}  // namespace attnrl::verifier
