// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/tree/steps.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "tools/attnrl/tree/testing/test_record.h"

namespace attnrl::tools {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string Nothing(size_t /*piece*/) { return ""; }

TEST(StepList, SaysWhatIsKnownOfAStep) {
  const TreeProblem problem = ReadProblem(FullRecord());
  const TreeLeaf& leaf = problem.responses[0].leaf;
  EXPECT_EQ(
      PieceTitle(problem, leaf, leaf.pieces[3]),
      "step 3 \u00b7 tokens 9\u201310 (2) \u00b7 FCI 0.0625 (25% of the highest) \u00b7 entropy 0 "
      "nats \u00b7 mean log-prob \u22123 \u00b7 advantage +0.50");
  const TreeProblem bare = ReadProblem(BareRecord("a"));
  EXPECT_EQ(PieceTitle(bare, bare.responses[0].leaf, bare.responses[0].leaf.pieces[0]),
            "step 1 \u00b7 token 0 (1) \u00b7 not trained");
}

TEST(StepList, ShadesStepsByTheirScores) {
  const TreeProblem problem = ReadProblem(FullRecord());
  const std::string list = StepList(problem, problem.responses[0].leaf, {}, Nothing);
  EXPECT_THAT(list, HasSubstr("--s:100%"));
  EXPECT_THAT(list, HasSubstr("--s:50%"));  // a quarter of the highest
}

TEST(StepList, PutsBranchesBeforeTheirStep) {
  const TreeProblem problem = ReadProblem(FullRecord());
  const std::string list = StepList(problem, problem.responses[0].leaf, {4}, [](size_t piece) {
    return piece == 1 ? std::string("<hr>") : std::string();
  });
  EXPECT_LT(list.find("a=1"), list.find("<hr>"));
  EXPECT_LT(list.find("<hr>"), list.find("b="));
}

TEST(StepList, FoldsTheMiddleOfALongLeafButNotItsPoints) {
  const TreeProblem problem = ReadProblem(LongRecord(1000));
  const TreeLeaf& leaf = problem.responses[0].leaf;
  const std::vector<bool> shown = ShownPieces(leaf, problem.score, {600});  // step 300
  EXPECT_TRUE(shown[0] && shown[4] && shown[999]);
  EXPECT_TRUE(shown[297] && shown[300] && shown[302]);
  EXPECT_FALSE(shown[100] || shown[303]);
  EXPECT_TRUE(shown[992]);  // one of the highest scores
  EXPECT_LT(std::count(shown.begin(), shown.end(), true), 40);
  const std::string list = StepList(problem, leaf, {600}, Nothing);
  EXPECT_THAT(list, HasSubstr("292 steps folded, tokens 10\u2013593, FCI up to 296"));
}

TEST(StepList, FoldsNothingInAShortLeaf) {
  const TreeProblem problem = ReadProblem(LongRecord(40));
  EXPECT_THAT(StepList(problem, problem.responses[0].leaf, {}, Nothing), Not(HasSubstr("folded")));
}

TEST(StepList, LetsStepsOfOneTokenFlow) {
  nlohmann::json record = BareRecord("twenty characters...");
  nlohmann::json ranges = {{0, 1}};
  for (int64_t i = 1; i <= 20; ++i) ranges.push_back({i, i + 1});
  record["responses"][0]["steps"] = ranges;
  const TreeProblem problem = ReadProblem(record);
  const std::string list = StepList(problem, problem.responses[0].leaf, {}, Nothing);
  EXPECT_THAT(list, HasSubstr("<p class=\"flow\"><span class=\"step\""));
  EXPECT_THAT(list, Not(HasSubstr("<li")));
}

}  // namespace
}  // namespace attnrl::tools
