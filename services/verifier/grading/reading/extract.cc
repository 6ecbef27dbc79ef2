// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/reading/extract.h"

#include <algorithm>
#include <cstddef>

#include "services/verifier/grading/reading/answer.h"
#include "services/verifier/grading/reading/boxes.h"
#include "services/verifier/grading/tokens/characters.h"

namespace attnrl::verifier {
namespace {

constexpr std::string_view kThinkEnd = "</think>";
constexpr std::string_view kBoxed = "boxed";
constexpr size_t kNoBox = std::string_view::npos;

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

// A box that is closed: from its backslash to behind its closing brace.
struct Closed {
  size_t begin;
  size_t brace;
  size_t end;
};

// A longer list than this is no answer to anything.
constexpr size_t kMostBoxes = 1000;

// The boxes in front of the one at `last`, as far as nothing but separators is between them. They
// are in the order of their ends, so a box that holds others comes behind them.
std::vector<std::string_view> BoxesBefore(std::string_view text, const std::vector<Closed>& boxes,
                                          size_t last) {
  std::vector<std::string_view> before;
  for (size_t at = last; at > 0 && before.size() < kMostBoxes; --at) {
    const Closed& box = boxes[at - 1];
    const size_t begin = boxes[at].begin;
    if (box.end > begin || !JoinsBoxes(text.substr(box.end, begin - box.end))) break;
    before.push_back(text.substr(box.brace + 1, box.end - box.brace - 2));
  }
  std::reverse(before.begin(), before.end());
  return before;
}

}  // namespace

std::optional<Extracted> ExtractAnswer(std::string_view response) {
  const std::string_view text = AfterThinking(response);
  // Boxes that are open. Braces of other groups are only counted, as a response may be nothing but
  // braces: the bytes that an open box takes stand in the response as its name.
  struct Open {
    size_t brace;
    size_t begin;  // its backslash
    bool doubled;
    size_t groups = 0;  // open ones inside of it
  };
  std::vector<Open> open;
  std::vector<Closed> boxes;
  std::optional<Extracted> last;
  size_t last_begin = 0;
  size_t last_place = 0;
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (c == '\\') {
      // "\\boxed{" (a doubled backslash) is how a box looks after a careless escape.
      size_t name = i + 1;
      if (name < text.size() && text[name] == '\\') ++name;
      if (size_t brace = BoxBrace(text, name); brace != kNoBox) {
        open.push_back({brace, i, name == i + 2});
        i = brace + 1;
        continue;
      }
      i += i + 1 < text.size() && !IsLetter(text[i + 1]) ? 2 : 1;
      continue;
    }
    if (!open.empty() && c == '{') ++open.back().groups;
    if (!open.empty() && c == '}' && open.back().groups > 0) {
      --open.back().groups;
    } else if (!open.empty() && c == '}') {
      const Open box = open.back();
      open.pop_back();
      boxes.push_back({box.begin, box.brace, i + 1});
      if (!last || box.brace > last_begin) {
        last_begin = box.brace;
        last_place = boxes.size() - 1;
        last = Extracted{text.substr(box.brace + 1, i - box.brace - 1), box.doubled};
      }
    }
    ++i;
  }
  if (last) last->before = BoxesBefore(text, boxes, last_place);
  return last;
}

std::string AnswerText(const Extracted& extracted) {
  const auto text = [&extracted](std::string_view box) {
    return std::string(Trimmed(extracted.doubled ? Undoubled(box) : std::string(box)));
  };
  std::string last = text(extracted.text);
  std::string answer;
  // The same answer twice is one.
  bool same = true;
  for (const std::string_view box : extracted.before) {
    same = same && text(box) == last;
    answer += text(box) + ", ";
  }
  return same ? last : answer + last;
}

}  // namespace attnrl::verifier
