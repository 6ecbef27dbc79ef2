// SPDX-License-Identifier: Apache-2.0
// Every case that was ever graded wrongly: regressions.txt.
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "services/verifier/grading/grader.h"

namespace attnrl::verifier {
namespace {

std::vector<std::string> Columns(const std::string& line) {
  const std::string between = " | ";
  std::vector<std::string> columns;
  size_t begin = 0;
  while (true) {
    const size_t end = line.find(between, begin);
    columns.push_back(line.substr(begin, end == std::string::npos ? end : end - begin));
    if (end == std::string::npos) return columns;
    begin = end + between.size();
  }
}

TEST(Regressions, StayMended) {
  std::ifstream file(ATTNRL_SOURCE_DIR "/services/verifier/grading/regressions.txt");
  int cases = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    const std::vector<std::string> columns = Columns(line);
    ASSERT_EQ(columns.size(), 4u) << line;
    ASSERT_TRUE(columns[0] == "same" || columns[0] == "other") << line;
    GradeRequest request = {"", "\\boxed{" + columns[2] + "}", {columns[1]}};
    request.explain = true;
    const GradeResult result = Grade(request);
    EXPECT_EQ(result.correct, columns[0] == "same") << line << "\n" << result.explanation;
    EXPECT_NE(result.status, GradeStatus::kLimit) << line;
    ++cases;
  }
  EXPECT_GT(cases, 50);
}

}  // namespace
}  // namespace attnrl::verifier
