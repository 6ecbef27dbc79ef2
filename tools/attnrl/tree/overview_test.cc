// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/tree/overview.h"

#include <gmock/gmock.h>

#include "tools/attnrl/tree/testing/test_record.h"

namespace attnrl::tools {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Overview, HasABarForEachResponseAndALineForEachContinuation) {
  const std::string svg = OverviewSvg(ReadProblem(FullRecord()));
  EXPECT_EQ(Times(svg, "class=\"track\""), 1);
  EXPECT_EQ(Times(svg, "class=\"twig"), 3);
  EXPECT_EQ(Times(svg, "<use href=\"#right\""), 3);
  EXPECT_EQ(Times(svg, "<use href=\"#wrong\""), 1);
  EXPECT_EQ(Times(svg, "class=\"pin\""), 1);
  EXPECT_EQ(Times(svg, "class=\"pin hollow\""), 1);
  EXPECT_THAT(svg, HasSubstr("href=\"#r0b0c1\""));
}

TEST(Overview, DrawsAResponseWithoutScoresAdvantagesAndBranches) {
  const std::string svg = OverviewSvg(ReadProblem(BareRecord("abc")));
  EXPECT_EQ(Times(svg, "class=\"track\""), 1);
  EXPECT_THAT(svg, Not(HasSubstr("class=\"cell\"")));
  EXPECT_THAT(svg, Not(HasSubstr("class=\"band")));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
}

TEST(Overview, SharesCellsInALongResponse) {
  const TreeProblem problem = ReadProblem(LongRecord(5000));
  const std::vector<ScoreCell> cells = ScoreCells(problem.responses[0].leaf, problem.score, 100);
  EXPECT_LE(cells.size(), 101);
  EXPECT_GE(cells.size(), 90);
  EXPECT_EQ(cells.front().begin, 0);
  EXPECT_EQ(cells.back().end, 10000);
  EXPECT_EQ(cells.back().score, 4999);  // the highest of them counts
  for (size_t i = 1; i < cells.size(); ++i) EXPECT_EQ(cells[i].begin, cells[i - 1].end);
}

TEST(Overview, CutsLongAnswersBetweenCharacters) {
  nlohmann::json record = FullRecord();
  record["responses"][0]["extracted"] = "\u4f60\u4f60\u4f60\u4f60<";
  EXPECT_THAT(OverviewSvg(ReadProblem(record)), HasSubstr(">\u4f60\u4f60\u2026</text>"));
}

TEST(Overview, HasTicksForAnyLength) {
  EXPECT_THAT(OverviewSvg(ReadProblem(BareRecord("a"))), HasSubstr(">1</text>"));
  EXPECT_THAT(OverviewSvg(ReadProblem(LongRecord(4000))), HasSubstr(">8,000</text>"));
}

}  // namespace
}  // namespace attnrl::tools
