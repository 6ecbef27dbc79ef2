// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/reading/extract.h"

#include <cstddef>
#include <vector>

namespace attnrl::verifier {
namespace {

constexpr std::string_view kThinkEnd = "</think>";
constexpr std::string_view kBoxed = "boxed";
constexpr size_t kNoBox = std::string_view::npos;

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// If a box begins at the name `boxed` at `at`, the position of its opening brace.
size_t BoxBrace(std::string_view text, size_t at) {
  if (text.substr(at, kBoxed.size()) != kBoxed) return kNoBox;
  at += kBoxed.size();
  while (at < text.size() && (text[at] == ' ' || text[at] == '\t' || text[at] == '\n')) ++at;
  return at < text.size() && text[at] == '{' ? at : kNoBox;
}

// What comes after the thinking.
std::string_view AfterThinking(std::string_view text) {
  const size_t end = text.rfind(kThinkEnd);
  return end == std::string_view::npos ? text : text.substr(end + kThinkEnd.size());
}

}  // namespace

std::optional<Extracted> ExtractAnswer(std::string_view response) {
  const std::string_view text = AfterThinking(response);
  struct Open {
    size_t brace;
    bool box;
    bool doubled = false;
  };
  std::vector<Open> open;
  std::optional<Extracted> last;
  size_t last_begin = 0;
  for (size_t i = 0; i < text.size();) {
    char c = text[i];
    if (c == '\\') {
      // "\\boxed{" (a doubled backslash) is how a box looks after a careless escape.
      size_t name = i + 1;
      if (name < text.size() && text[name] == '\\') ++name;
      if (size_t brace = BoxBrace(text, name); brace != kNoBox) {
        open.push_back({brace, true, name == i + 2});
        i = brace + 1;
        continue;
      }
      i += i + 1 < text.size() && !IsLetter(text[i + 1]) ? 2 : 1;
      continue;
    }
    if (c == '{') open.push_back({i, false});
    if (c == '}' && !open.empty()) {
      Open group = open.back();
      open.pop_back();
      if (group.box && (!last || group.brace > last_begin)) {
        last_begin = group.brace;
        last = Extracted{text.substr(group.brace + 1, i - group.brace - 1), group.doubled};
      }
    }
    ++i;
  }
  return last;
}

}  // namespace attnrl::verifier
