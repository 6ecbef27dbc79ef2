// SPDX-License-Identifier: Apache-2.0
// ExtractAnswer against the obvious quadratic search.
#include <gtest/gtest.h>

#include <optional>
#include <regex>
#include <string>
#include <vector>

#include "common/base/philox.h"
#include "services/verifier/grading/reading/extract.h"

namespace attnrl::verifier {
namespace {

// For each box from the last one on: counts braces to the one that closes it.
std::optional<std::string> Reference(std::string text) {
  const std::string end = "</think>";
  if (const size_t at = text.rfind(end); at != std::string::npos) {
    text = text.substr(at + end.size());
  }
  struct Mark {
    size_t begin, end;
    char kind;  // 'b' for the beginning of a box, or the brace
  };
  std::vector<Mark> marks;
  const std::regex mark(R"(\\\\?boxed[ \t\n]*\{|\\[^a-zA-Z]|[{}])");
  for (std::sregex_iterator at(text.begin(), text.end(), mark), none; at != none; ++at) {
    const std::string found = at->str();
    const auto begin = static_cast<size_t>(at->position());
    const bool escaped = found.size() == 2 && found[0] == '\\';
    if (!escaped) marks.push_back({begin, begin + found.size(), found.size() > 1 ? 'b' : found[0]});
  }
  for (size_t box = marks.size(); box-- > 0;) {
    if (marks[box].kind != 'b') continue;
    int open = 1;
    for (size_t i = box + 1; i < marks.size(); ++i) {
      open += marks[i].kind == '}' ? -1 : 1;
      if (open == 0) return text.substr(marks[box].end, marks[i].begin - marks[box].end);
    }
  }
  return std::nullopt;
}

TEST(ExtractAnswer, FindsWhatTheObviousSearchFinds) {
  const std::vector<std::string> pieces = {
      "\\boxed{", "\\boxed{", "\\boxed \n{", "\\\\boxed{", "{",        "{",      "}",
      "}",        "}",        "}",           "\\{",        "\\}",      "\\\\",   "\\",
      "1",        "x",        " ",           "\\frac{",    "</think>", "boxed{", "\\boxedx{"};
  int found = 0;
  for (uint32_t round = 0; round < 4000; ++round) {
    RandomStream random({.seed = 1, .position = round});
    std::string response;
    for (uint64_t i = random.Below(24); i > 0; --i) response += pieces[random.Below(pieces.size())];
    const std::optional<std::string> wanted = Reference(response);
    const std::optional<Extracted> answer = ExtractAnswer(response);
    EXPECT_EQ(answer ? std::optional<std::string>(answer->text) : std::nullopt, wanted) << response;
    found += wanted.has_value() ? 1 : 0;
  }
  EXPECT_GT(found, 1000);
  EXPECT_LT(found, 3800);
}

TEST(ExtractAnswer, IsAPartOfTheResponse) {
  const std::string response = "<think>\\boxed{1}</think>\\boxed{ \\frac{1}{2} }.";
  const std::optional<Extracted> answer = ExtractAnswer(response);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->text, " \\frac{1}{2} ");
  EXPECT_EQ(answer->text.data(), response.data() + response.find(" \\frac"));
}

// A response is cut where its tokens end: the last box that is whole by then counts.
TEST(ExtractAnswer, OfEveryCutIsTheLastWholeBox) {
  const std::string first = "so \\boxed{1}";
  const std::string second = first + ", no: \\boxed{\\frac{1}{2}}";
  const std::string thought = second + "</think>";
  const std::string whole = thought + " I say \\boxed{3} twice \\boxed{{3}}!";
  const size_t third = whole.find("{3}") + 3;
  for (size_t size = 0; size <= whole.size(); ++size) {
    const auto answer = ExtractAnswer(std::string_view(whole).substr(0, size));
    const std::string got = answer ? std::string(answer->text) : "(none)";
    const std::string wanted = size < first.size()       ? "(none)"
                               : size < second.size()    ? "1"
                               : size < thought.size()   ? "\\frac{1}{2}"
                               : size < third            ? "(none)"
                               : size + 1 < whole.size() ? "3"
                                                         : "{3}";
    EXPECT_EQ(got, wanted) << whole.substr(0, size);
  }
}

}  // namespace
}  // namespace attnrl::verifier
