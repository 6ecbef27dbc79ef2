// SPDX-License-Identifier: Apache-2.0
// The table of services/verifier/README.md, "The reward": every example on both sides of each rule.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "services/verifier/grading/grader.h"
#include "services/verifier/grading/testing/boxed.h"

namespace attnrl::verifier {
namespace {

// The texts between backticks.
std::vector<std::string> Examples(const std::string& cell) {
  std::vector<std::string> examples;
  size_t open = cell.find('`');
  while (open != std::string::npos) {
    const size_t close = cell.find('`', open + 1);
    examples.push_back(cell.substr(open + 1, close - open - 1));
    open = cell.find('`', close + 1);
  }
  return examples;
}

std::vector<std::string> Cells(const std::string& line) {
  std::vector<std::string> cells;
  for (size_t begin = 1; begin < line.size();) {
    const size_t end = std::min(line.find('|', begin), line.size());
    cells.push_back(line.substr(begin, end - begin));
    begin = end + 1;
  }
  return cells;
}

TEST(Rules, HoldAsTheReadmeShowsThem) {
  std::ifstream readme(ATTNRL_SOURCE_DIR "/services/verifier/README.md");
  int rules = 0;
  bool in_table = false;
  for (std::string line; std::getline(readme, line);) {
    if (line == "| rule | wanted | accepted | refused |") in_table = true;
    if (line.empty()) in_table = false;
    if (!in_table || line.find('`') == std::string::npos) continue;
    const std::vector<std::string> cells = Cells(line);
    ASSERT_EQ(cells.size(), 4u) << line;
    const std::vector<std::string> wanted = Examples(cells[1]);
    ASSERT_EQ(wanted.size(), 1u) << line;
    for (const std::string& answer : Examples(cells[2])) {
      const GradeResult result = GradeBox(answer, wanted[0]);
      EXPECT_TRUE(result.correct) << cells[0] << ": " << answer << "\n" << result.explanation;
    }
    for (const std::string& answer : Examples(cells[3])) {
      const GradeResult result = GradeBox(answer, wanted[0]);
      EXPECT_FALSE(result.correct) << cells[0] << ": " << answer << "\n" << result.explanation;
    }
    EXPECT_TRUE(GradeBox(wanted[0], wanted[0]).correct);
    ++rules;
  }
  EXPECT_GE(rules, 25);
}

TEST(Explanations, SayHowBothSidesWereReadAndWhichRuleDecided) {
  const GradeResult same = GradeBox("\\frac{6}{\\sqrt{3}}", "2\\sqrt{3}");
  EXPECT_EQ(same.explanation,
            "answer: read as (6*3^1/2^-1)\n"
            "accepted for: (2*3^1/2)\n"
            "  equal to all bits that could differ\n");
  const GradeResult other = GradeBox("3\\text{ million}", "3");
  EXPECT_EQ(other.explanation,
            "answer: read as (3*1000000)\n"
            "refused for: 3\n"
            "  different exactly\n");
  EXPECT_EQ(Grade({"", "\\boxed{1}", {"2"}}).explanation, "");
}

}  // namespace
}  // namespace attnrl::verifier
