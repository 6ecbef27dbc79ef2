// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/records/verdicts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/observe/metric_labels.h"

namespace attnrl::scheduler {
namespace {

using ::testing::ElementsAreArray;
using Json = nlohmann::json;
using verifier::GradeStatus;

TEST(Verdicts, PartWhatIsGradedIntoRightAndWrong) {
  EXPECT_EQ(VerdictOf(GradeStatus::kGraded, true), Verdict::kCorrect);
  EXPECT_EQ(VerdictOf(GradeStatus::kGraded, false), Verdict::kIncorrect);
}

TEST(Verdicts, AreTheWordOfTheStatusWhereNothingWasCompared) {
  for (const GradeStatus status :
       {GradeStatus::kNoAnswer, GradeStatus::kUnparsable, GradeStatus::kLimit,
        GradeStatus::kTimeout, GradeStatus::kCrash}) {
    EXPECT_EQ(WordOf(VerdictOf(status, false)), verifier::StatusName(status));
  }
}

TEST(Verdicts, AreRightExactlyWhereTheRewardIsOne) {
  EXPECT_EQ(VerdictOf(GradeStatus::kLimit, true), Verdict::kCorrect);
  EXPECT_EQ(VerdictOf(GradeStatus::kTimeout, true), Verdict::kTimeout);
  EXPECT_EQ(VerdictOf(GradeStatus::kCrash, true), Verdict::kCrash);
}

TEST(Verdicts, AreTheValuesOfTheirLabel) {
  std::vector<std::string_view> words;
  for (const Word<Verdict>& each : WordsOf(Verdict{})) words.push_back(each.word);
  EXPECT_EQ(words.size(), kVerdicts);
  EXPECT_THAT(words, ElementsAreArray(observe::label_values::kOutcomes));
}

VerdictCounts Counted() {
  VerdictCounts counts;
  counts[Verdict::kCorrect] = 2;
  counts[Verdict::kNoAnswer] = 5;
  counts[Verdict::kCrash] = 1;
  return counts;
}

TEST(Verdicts, AddUp) {
  VerdictCounts sum = Counted();
  sum += Counted();
  EXPECT_EQ(sum[Verdict::kNoAnswer], 10u);
  EXPECT_EQ(sum[Verdict::kIncorrect], 0u);
  EXPECT_EQ(sum.total(), 16u);
}

TEST(Verdicts, AreWrittenWithEveryWord) {
  EXPECT_EQ(VerdictsJson(Counted()).dump(),
            R"({"correct":2,"incorrect":0,"no_answer":5,"unparsable":0,"limit":0,"timeout":0,)"
            R"("crash":1})");
}

TEST(Verdicts, AreReadBackFromALineOfMetrics) {
  Json line = {{"verdicts", VerdictsJson(Counted())}, {"truncated_ratio", 0.375}};
  EXPECT_EQ(ReadVerdicts(line), (BatchVerdicts{Counted(), 3}));
  // Every share that 1 to 200 leaves can have is the count that it was made of.
  for (uint64_t leaves = 1; leaves <= 200; ++leaves) {
    VerdictCounts counts;
    counts[Verdict::kIncorrect] = leaves;
    line["verdicts"] = VerdictsJson(counts);
    for (uint64_t truncated = 0; truncated <= leaves; ++truncated) {
      line["truncated_ratio"] = static_cast<double>(truncated) / static_cast<double>(leaves);
      ASSERT_EQ(ReadVerdicts(line).truncated, truncated) << leaves;
    }
  }
}

TEST(Verdicts, AreNoneInALineWithoutThem) {
  for (const char* text :
       {"null", "[]", "{}", R"({"verdicts":null,"truncated_ratio":0.5})", R"({"verdicts":[1]})",
        R"({"verdicts":{"correct":1}})",
        R"({"verdicts":{"correct":1,"incorrect":-1,"no_answer":0,"unparsable":0,"limit":0,)"
        R"("timeout":0,"crash":0}})"}) {
    EXPECT_EQ(ReadVerdicts(Json::parse(text)), BatchVerdicts{}) << text;
  }
}

TEST(Verdicts, TakeAShareThatIsNoneForNothingCutOff) {
  Json line = {{"verdicts", VerdictsJson(Counted())}};
  EXPECT_EQ(ReadVerdicts(line).truncated, 0u);
  for (const Json& share : {Json(nullptr), Json("0.5"), Json(-0.5), Json(1e300)}) {
    line["truncated_ratio"] = share;
    EXPECT_EQ(ReadVerdicts(line).truncated, 0u) << share;
  }
}

}  // namespace
}  // namespace attnrl::scheduler
