// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/tree/record.h"

#include <gmock/gmock.h>

#include "common/base/status.h"
#include "tools/attnrl/tree/testing/test_record.h"

namespace attnrl::tools {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

std::string Refusal(const nlohmann::json& record) {
  const auto problem = ReadTreeProblem(record, CharacterText());
  EXPECT_TRUE(IsInputError(problem.status())) << problem.status();
  return std::string(problem.status().message());
}

TEST(TreeRecord, CutsStepsWhereBranchesStart) {
  const auto problem = ReadTreeProblem(FullRecord(), CharacterText());
  ASSERT_TRUE(problem.ok()) << problem.status();
  const TreeLeaf& leaf = problem->responses[0].leaf;
  std::vector<std::string> texts;
  for (const TreePiece& piece : leaf.pieces) texts.push_back(piece.text);
  EXPECT_THAT(texts, ElementsAre("a=1\n", "b=", "22\n", "c\n"));
  EXPECT_EQ(leaf.pieces[1].step, 2);
  EXPECT_EQ(leaf.pieces[2].step, 2);
  EXPECT_EQ(leaf.pieces[2].begin, 6);
  EXPECT_EQ(leaf.pieces[2].end, 9);
  EXPECT_EQ(leaf.pieces[2].fci, 0.25);  // of its step
  EXPECT_EQ(leaf.pieces[1].entropy, 1.0);
  EXPECT_EQ(leaf.pieces[2].entropy, 2.0);
  EXPECT_EQ(leaf.pieces[3].logprob, -3.0);
}

TEST(TreeRecord, CountsTheTokensOfAContinuationFromItsSplit) {
  const auto problem = ReadTreeProblem(FullRecord(), CharacterText());
  ASSERT_TRUE(problem.ok()) << problem.status();
  const TreeResponse& response = problem->responses[0];
  ASSERT_THAT(response.branches, SizeIs(2));
  EXPECT_EQ(response.branches[1].origin, "fill");
  const TreeLeaf& child = response.branches[0].continuations[0];
  ASSERT_THAT(child.pieces, SizeIs(2));
  EXPECT_EQ(child.pieces[1].text, "y");
  EXPECT_EQ(child.pieces[1].begin, 6);
  EXPECT_EQ(child.pieces[0].step, 2);  // it replaces the second step
  EXPECT_EQ(child.pieces[1].step, 3);
  EXPECT_FALSE(child.correct());
  EXPECT_TRUE(response.branches[0].continuations[1].correct());
}

TEST(TreeRecord, FindsTheAdvantageOfAToken) {
  const auto problem = ReadTreeProblem(FullRecord(), CharacterText());
  ASSERT_TRUE(problem.ok()) << problem.status();
  const TreeResponse& response = problem->responses[0];
  EXPECT_EQ(AdvantageAt(response.leaf, 3), 0.125);
  EXPECT_EQ(AdvantageAt(response.leaf, 4), -0.25);
  EXPECT_EQ(AdvantageAt(response.leaf, 10), 0.5);
  EXPECT_EQ(AdvantageAt(response.leaf, 11), std::nullopt);
  EXPECT_EQ(AdvantageAt(response.branches[0].continuations[0], 4), -1);
  EXPECT_EQ(AdvantageAt(response.branches[1].continuations[0], 6), std::nullopt);
}

TEST(TreeRecord, ShadesByFciThenByEntropyThenNotAtAll) {
  nlohmann::json record = FullRecord();
  auto problem = ReadTreeProblem(record, CharacterText());
  ASSERT_TRUE(problem.ok()) << problem.status();
  EXPECT_EQ(problem->score, TreeScore::kFci);
  EXPECT_EQ(problem->max_score, 0.25);
  EXPECT_EQ(problem->max_advantage, 1);
  record["responses"][0]["fci"] = nullptr;
  problem = ReadTreeProblem(record, CharacterText());
  ASSERT_TRUE(problem.ok()) << problem.status();
  EXPECT_EQ(problem->score, TreeScore::kEntropy);
  EXPECT_EQ(problem->max_score, 2);
  record["responses"][0]["entropy"] = nullptr;
  problem = ReadTreeProblem(record, CharacterText());
  ASSERT_TRUE(problem.ok()) << problem.status();
  EXPECT_EQ(problem->score, TreeScore::kNone);
}

TEST(TreeRecord, ReadsARecordWithoutStepsScoresAndBranches) {
  const auto problem = ReadTreeProblem(BareRecord("a\nb"), CharacterText());
  ASSERT_TRUE(problem.ok()) << problem.status();
  EXPECT_EQ(problem->responses[0].leaf.pieces.size(), 2);  // cut anew
  EXPECT_FALSE(problem->responses[0].expanded);
  EXPECT_THAT(problem->responses[0].leaf.segments, IsEmpty());
  EXPECT_EQ(problem->responses[0].leaf.reward, std::nullopt);
}

TEST(TreeRecord, ReadsPointsThatHaveNoContinuations) {
  nlohmann::json record = FullRecord();
  record["responses"][0]["branches"] = nlohmann::json::array();
  const auto problem = ReadTreeProblem(record, CharacterText());
  ASSERT_TRUE(problem.ok()) << problem.status();
  EXPECT_THAT(problem->responses[0].branches, SizeIs(2));
  EXPECT_THAT(problem->responses[0].branches[0].continuations, IsEmpty());
}

TEST(TreeRecord, PassesOverEntropiesThatAreNoNumbers) {
  nlohmann::json record = FullRecord();
  record["responses"][0]["entropy"][0] = nullptr;
  record["responses"][0]["entropy"][1] = 1.5;
  const auto problem = ReadTreeProblem(record, CharacterText());
  ASSERT_TRUE(problem.ok()) << problem.status();
  EXPECT_NEAR(*problem->responses[0].leaf.pieces[0].entropy, 2.5 / 3, 1e-12);
}

TEST(TreeRecord, RefusesWhatDoesNotFitTogether) {
  nlohmann::json record = FullRecord();
  record["responses"][0]["branches"][0]["split"] = 11;
  EXPECT_THAT(Refusal(record),
              HasSubstr("responses[0]: points: 11 is outside the response; 0 to 10"));
  record = FullRecord();
  record["responses"][0]["steps"] = {{0, 3}, {3, 7}};
  EXPECT_THAT(Refusal(record), HasSubstr("responses[0]: steps: end at 7 of 14 tokens"));
  record["responses"][0]["steps"] = {{0, 3}, {4, 14}};
  EXPECT_THAT(Refusal(record), HasSubstr("responses[0]: steps: have a gap"));
  record = FullRecord();
  record["responses"][0].erase("token_ids");
  EXPECT_THAT(Refusal(record), HasSubstr("token_ids"));
  record = FullRecord();
  record["responses"] = "none";
  EXPECT_TRUE(IsInputError(ReadTreeProblem(record, CharacterText()).status()));
  EXPECT_TRUE(IsInputError(ReadTreeProblem(nlohmann::json::array(), CharacterText()).status()));
}

}  // namespace
}  // namespace attnrl::tools
