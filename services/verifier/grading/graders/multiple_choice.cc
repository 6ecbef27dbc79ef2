// SPDX-License-Identifier: Apache-2.0
// Accepts the letter of a choice, however it is dressed: "C", "(c)", "C.", "\text{(C)}", and with
// the text of the choice behind it: "(C) 45", "\textbf{(C)}\ 45". Several letters ("A, C") are a
// set, and what names another choice besides ("A or B", "A/B", "A; B") is none, but for the text of
// a choice that is two others: "D) A and B".
#include <algorithm>
#include <set>
#include <string_view>

#include "services/verifier/grading/graders/makers.h"
#include "services/verifier/grading/tokens/characters.h"

namespace attnrl::verifier {
namespace {

char Upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

bool SameLetter(char a, char b) { return Upper(a) == Upper(b); }

bool IsChoice(char c) { return Upper(c) >= 'A' && Upper(c) <= 'H'; }

// With braces for styles, spaces for those of LaTeX and nothing for the ends of formulas: "{(A)}
// 45" of "\textbf{(A)}\ 45".
std::string Plain(std::string_view text) {
  std::string plain;
  for (size_t at = 0; at < text.size();) {
    if (text[at] == '$' || text[at] == '~') {
      plain += ' ';
      ++at;
      continue;
    }
    if (text[at] != '\\' || at + 1 == text.size()) {
      plain += text[at++];
      continue;
    }
    size_t end = at + 1;
    while (end < text.size() && IsLetter(text[end])) ++end;
    const std::string_view command = text.substr(at + 1, end - at - 1);
    const bool style = command.starts_with("text") || command.starts_with("math") ||
                       command == "mbox" || command == "boldsymbol" || command == "bm" ||
                       command == "fbox" || command == "rm" || command == "bf";
    if (command.empty()) {
      const char c = text[at + 1];
      // "\ ", "\,", "\(" are space; "\&" and "\{" are what they show.
      plain += std::string_view(" ,;:!()[]\\").find(c) != std::string_view::npos ? ' ' : c;
      end = at + 2;
    } else if (style || command == "quad" || command == "qquad" || command == "left" ||
               command == "right") {
      plain += style ? "" : " ";
    } else if (command == "lor" || command == "vee" || command == "land" || command == "wedge" ||
               command == "mid" || command == "cup" || command == "cap") {
      plain += '|';
    } else {
      plain += text.substr(at, end - at);
    }
    at = end;
  }
  return plain;
}

// Whether a choice stands alone in `text` behind brackets and spaces; `capital`: and is a capital.
bool BeginsChoice(std::string_view text, bool capital = false) {
  const size_t at = text.find_first_not_of(" ({[.})]");
  return at != std::string_view::npos && IsChoice(text[at]) &&
         (!capital || Upper(text[at]) == text[at]) &&
         (at + 1 == text.size() || !IsLetter(text[at + 1]));
}

// Whether a capital choice stands alone at `at`, no part of a word.
bool IsLoneChoice(std::string_view text, size_t at) {
  return IsChoice(text[at]) && Upper(text[at]) == text[at] &&
         (at == 0 || !IsLetter(text[at - 1])) && (at + 1 == text.size() || !IsLetter(text[at + 1]));
}

// Whether what is behind the first choice names another one: "/B", "or B", ", not B", "45; (B) 50".
// Behind "A." and "(A)" there may be a text, with letters of its own; behind a mere "A" every other
// choice is one: "A to D".
bool IsHedged(std::string_view rest, bool closed) {
  static constexpr std::string_view kWords[] = {"or",  "and",  "not",   "nor",    "vs",
                                                "but", "also", "maybe", "versus", "perhaps"};
  static constexpr std::string_view kLayout = " .)]}:({[";
  static constexpr std::string_view kSigns = "/|-+&=;,";
  const size_t first = rest.find_first_not_of(kLayout);
  // "(A) – D": nothing but signs, of whatever kind, between both.
  bool signs_only = true;
  for (size_t i = 0; i < rest.size(); ++i) {
    const std::string_view here = rest.substr(i);
    const bool is_word = IsLetter(here[0]) || (here[0] >= '0' && here[0] <= '9') || here[0] == '\\';
    const bool lone = IsLoneChoice(rest, i);
    if (lone && (!closed || (signs_only && i > first))) return true;
    signs_only = signs_only && !is_word;
    // Signs between formulas of the choice's own text say nothing, but for these.
    const bool separates = i == first || here[0] == ';' || here[0] == ',';
    if (separates && kSigns.find(here[0]) != std::string_view::npos &&
        BeginsChoice(here.substr(1), i != first)) {
      return true;
    }
    if (i > 0 && IsLetter(rest[i - 1])) continue;
    // "(A) 45 (B) 50", but not "P(B)".
    if (here.size() > 2 && here[0] == '(' && here[2] == ')' && IsChoice(here[1])) return true;
    for (const std::string_view word : kWords) {
      const size_t end = word.size();
      if (here.size() > end && std::equal(word.begin(), word.end(), here.begin(), SameLetter) &&
          !IsLetter(here[end]) && BeginsChoice(here.substr(end))) {
        return true;
      }
    }
  }
  return false;
}

// "Both A and C" behind "B.": the text of a choice that names two others, and nothing else.
bool NamesTwoOthers(std::string_view text, char letter) {
  const auto skip = [&text] {
    text.remove_prefix(std::min(text.find_first_not_of(" {}"), text.size()));
  };
  const auto take = [&](std::string_view word) {
    skip();
    const bool there = text.size() > word.size() && !IsLetter(text[word.size()]) &&
                       std::equal(word.begin(), word.end(), text.begin(), SameLetter);
    if (there) text.remove_prefix(word.size());
    return there;
  };
  const auto take_other = [&] {
    skip();
    const bool there = !text.empty() && IsLoneChoice(text, 0) && text[0] != letter;
    const char other = there ? text[0] : '\0';
    if (there) text.remove_prefix(1);
    return other;
  };
  take("both");
  const char first = take_other();
  if (first == '\0' || !take("and")) return false;
  const char second = take_other();
  return second != '\0' && second != first &&
         text.find_first_not_of(" {}.") == std::string_view::npos;
}

// Without "Option", "Choice" or "Answer" in front.
std::string_view WithoutName(std::string_view text) {
  const size_t begin = std::min(text.find_first_not_of(" {"), text.size());
  for (const std::string_view name : {"option", "choice", "answer"}) {
    const std::string_view word = text.substr(begin, name.size());
    if (!std::equal(word.begin(), word.end(), name.begin(), name.end(), SameLetter)) continue;
    const std::string_view rest = text.substr(begin + name.size());
    if (rest.empty() || IsLetter(rest[0])) continue;
    return rest.substr(std::min(rest.find_first_not_of(" :"), rest.size()));
  }
  return text;
}

// Whether a letter behind "C." begins its text rather than another choice: "P(A)", "A triangle".
bool BeginsText(std::string_view text, bool closed) {
  const bool article = closed && text[0] == 'A' && text.size() > 2 && text[1] == ' ' &&
                       IsLetter(text[2]) && Upper(text[2]) != text[2];
  return !IsChoice(text[0]) || article;
}

// The letters that stand alone before anything else does; empty: none.
std::set<char> Letters(std::string_view text) {
  std::set<char> letters;
  bool closed = false;
  bool has_text = false;
  size_t at = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '(' || c == '[' || c == ' ' || c == ',' || c == '{') {
      closed = closed && c != ',';
      ++at;
      continue;
    }
    const bool alone = IsLetter(c) && (at + 1 == text.size() || !IsLetter(text[at + 1]));
    if (!alone || (!letters.empty() && BeginsText(text.substr(at), closed))) break;
    letters.insert(Upper(c));
    ++at;
    // Behind "C.", "C)" or "C:" comes the text of the choice, or another letter.
    const size_t end = std::min(text.find_first_not_of(".):]}", at), text.size());
    closed = text.substr(at, end - at).find_first_not_of('}') != std::string_view::npos;
    has_text = closed;
    at = end;
    if (closed && letters.size() == 1 && NamesTwoOthers(text.substr(at), Upper(c))) return letters;
  }
  if (IsHedged(text.substr(at), has_text)) return {};
  return letters;
}

std::set<char> Choices(std::string_view answer) {
  const std::string plain = Plain(answer);
  return Letters(WithoutName(plain));
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
    given_ = Choices(answer);
    if (explain_) *explanation = "read as " + Text(given_);
    return given_.empty() ? GradeStatus::kUnparsable : GradeStatus::kGraded;
  }

  Match Compare(const std::string& accepted, bool* limit) override {
    *limit = false;
    const std::set<char> wanted = Choices(accepted);
    Match match = {!wanted.empty() && given_ == wanted};
    if (explain_) {
      match.explanation =
          Text(wanted) + "\n  " + (match.same ? "the same choice" : "other choices");
    }
    return match;
  }

  AnswerKind Check(const std::string& accepted) override {
    return Choices(accepted).empty() ? AnswerKind::kUnmatchable : AnswerKind::kValue;
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
