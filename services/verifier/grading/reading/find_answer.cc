// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <utility>

#include "services/verifier/grading/reading/extract.h"
#include "services/verifier/grading/reading/stated_number.h"
#include "services/verifier/grading/tokens/characters.h"

namespace attnrl::verifier {
namespace {

constexpr size_t kNone = std::string_view::npos;
// A response that is nothing but an answer.
constexpr size_t kShort = 100;
// Behind "the answer is".
constexpr size_t kLongestAnswer = 2000;

constexpr std::pair<std::string_view, std::string_view> kFences[] = {
    {"$$", "$$"}, {"\\[", "\\]"}, {"\\(", "\\)"}, {"$", "$"}};

// The formula that `text` begins with.
std::optional<std::string_view> FirstFormula(std::string_view text) {
  for (const auto& [open, close] : kFences) {
    if (!text.starts_with(open)) continue;
    const size_t end = text.find(close, open.size());
    if (end == kNone) return std::nullopt;
    return text.substr(open.size(), end - open.size());
  }
  return std::nullopt;
}

std::optional<std::string_view> LastFormula(std::string_view text) {
  size_t last_end = kNone;
  std::string_view open;
  for (const auto& [opening, closing] : kFences) {
    const size_t end = text.rfind(closing);
    if (end == kNone || end == 0) continue;
    if (last_end != kNone && end + closing.size() <= last_end + open.size()) continue;
    last_end = end;
    open = opening;
  }
  if (last_end == kNone) return std::nullopt;
  const size_t begin = text.rfind(open, last_end - 1);
  if (begin == kNone || begin + open.size() > last_end) return std::nullopt;
  return text.substr(begin + open.size(), last_end - begin - open.size());
}

// Up to a full stop that ends a sentence, or the end of the line.
std::string_view Sentence(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const bool stop = text[i] == '.' && (i + 1 == text.size() || text[i + 1] == ' ' ||
                                         text[i + 1] == '\n' || text[i + 1] == '*');
    if (stop || text[i] == '\n') return text.substr(0, i);
  }
  return text;
}

// A sentence that begins with a word and has some: "Jane began 3 hours ago".
bool IsProse(std::string_view sentence) {
  constexpr int kEnoughWords = 3;
  int words = 0;
  int letters = 0;
  for (size_t i = 0; i <= sentence.size(); ++i) {
    if (i < sentence.size() && IsLetter(sentence[i])) {
      ++letters;
      continue;
    }
    words += letters > 1 ? 1 : 0;
    letters = 0;
  }
  return words >= kEnoughWords && IsLetter(sentence[0]);
}

bool Denies(std::string_view sentence) {
  return sentence.find(" not ") != kNone || sentence.find("n't ") != kNone ||
         sentence.find("never") != kNone;
}

// Of a sentence in words its last number; of all others, everything.
std::string_view AnswerIn(std::string_view sentence) {
  if (sentence.empty() || !IsProse(sentence) || Denies(sentence)) return sentence;
  return LastNumber(sentence).value_or(sentence);
}

// Behind the last "answer is", "answer:" or "answer".
std::optional<std::string_view> AfterCue(std::string_view text) {
  constexpr std::string_view kCue = "nswer";
  const size_t cue = text.rfind(kCue);
  if (cue == kNone) return std::nullopt;
  std::string_view rest = text.substr(cue + kCue.size()).substr(0, kLongestAnswer);
  constexpr std::string_view kBetween = " \t\r\n:*";
  const auto skip = [&rest, kBetween] {
    rest.remove_prefix(std::min(rest.find_first_not_of(kBetween), rest.size()));
  };
  skip();
  if (rest.starts_with("is ") || rest.starts_with("is:") || rest.starts_with("is\n")) {
    rest.remove_prefix(2);
  }
  skip();
  if (rest.empty()) return std::nullopt;
  if (const auto formula = FirstFormula(rest)) return formula;
  return AnswerIn(Sentence(rest));
}

// The last formula, or a number that is stated behind it.
std::optional<std::string_view> LastStatement(std::string_view text) {
  const std::optional<std::string_view> formula = LastFormula(text);
  if (!formula) return LastStatedNumber(text);
  const auto end = static_cast<size_t>(formula->data() - text.data()) + formula->size();
  const std::optional<std::string_view> number = LastStatedNumber(text.substr(end));
  return number ? number : formula;
}

// A chat that goes on behind the response.
std::string_view WithoutMarkers(std::string_view text) {
  for (const std::string_view marker : {"<|im_end|>", "<|im_start|>", "<|endoftext|>"}) {
    text = text.substr(0, text.find(marker));
  }
  return text;
}

}  // namespace

std::optional<Extracted> FindAnswer(std::string_view response) {
  constexpr std::string_view kThinkEnd = "</think>";
  if (const size_t end = response.rfind(kThinkEnd); end != kNone) {
    response.remove_prefix(end + kThinkEnd.size());
  }
  response = Trimmed(WithoutMarkers(response));
  for (const auto& found : {AfterCue(response), LastStatement(response)}) {
    if (found && !Trimmed(*found).empty()) return Extracted{Trimmed(*found)};
  }
  if (response.empty() || response.size() > kShort) return std::nullopt;
  return Extracted{Sentence(response)};
}

}  // namespace attnrl::verifier
