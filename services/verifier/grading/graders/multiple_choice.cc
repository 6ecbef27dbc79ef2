// SPDX-License-Identifier: Apache-2.0
// Accepts the letter of a choice, however it is dressed: "C", "(c)", "C.", "\text{(C)}", and with
// the text of the choice behind it: "(C) 45". Several letters ("A, C") are a set.
#include <set>

#include "services/verifier/grading/graders/makers.h"
#include "services/verifier/grading/graders/plain_text.h"

namespace attnrl::verifier {
namespace {

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
char Upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

// Whether a word before another choice takes the first one back: "A or B", "A, not B".
bool IsHedged(std::string_view rest) {
  for (size_t i = 0; i + 2 < rest.size(); ++i) {
    if (i > 0 && IsLetter(rest[i - 1])) continue;
    for (const std::string_view word : {"or", "and", "not", "nor"}) {
      if (!rest.substr(i).starts_with(word)) continue;
      const std::string_view behind = rest.substr(i + word.size());
      const size_t next = behind.find_first_not_of(" (}{\\");
      if (next == 0 || next == std::string_view::npos || !IsLetter(behind[next])) continue;
      if (next + 1 == behind.size() || !IsLetter(behind[next + 1])) return true;
    }
  }
  return false;
}

// The letters that stand alone before anything else does; empty: none.
std::set<char> Letters(std::string_view text) {
  std::set<char> letters;
  size_t at = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '(' || c == '[' || c == ' ' || c == ',' || c == '{') {
      ++at;
      continue;
    }
    const bool alone = IsLetter(c) && (at + 1 == text.size() || !IsLetter(text[at + 1]));
    if (!alone) break;
    letters.insert(Upper(c));
    ++at;
    // Behind "C.", "C)" or "C:" comes the text of the choice, or another letter.
    while (at < text.size() && std::string_view(".):]}").find(text[at]) != std::string_view::npos) {
      ++at;
    }
  }
  if (IsHedged(text.substr(at))) return {};
  return letters;
}

std::string Text(const std::set<char>& letters) {
  std::string text;
  for (const char letter : letters) {
    if (!text.empty()) text += ", ";
    text += letter;
  }
  return text.empty() ? "no choice" : text;
}

class MultipleChoice final : public Grader {
 public:
  explicit MultipleChoice(bool explain) : explain_(explain) {}

  GradeStatus Read(std::string_view answer, std::string* explanation) override {
    given_ = Letters(PlainText(answer));
    if (explain_) *explanation = "read as " + Text(given_);
    return given_.empty() ? GradeStatus::kUnparsable : GradeStatus::kGraded;
  }

  Match Compare(const std::string& accepted, bool* limit) override {
    *limit = false;
    const std::set<char> wanted = Letters(PlainText(accepted));
    Match match = {!wanted.empty() && given_ == wanted};
    if (explain_) {
      match.explanation =
          Text(wanted) + "\n  " + (match.same ? "the same choice" : "other choices");
    }
    return match;
  }

  AnswerKind Check(const std::string& accepted) override {
    return Letters(PlainText(accepted)).empty() ? AnswerKind::kUnmatchable : AnswerKind::kValue;
  }

 private:
  const bool explain_;
  std::set<char> given_;
};

}  // namespace

std::unique_ptr<Grader> MakeMultipleChoice(const Limits&, bool explain) {
  return std::make_unique<MultipleChoice>(explain);
}

}  // namespace attnrl::verifier
