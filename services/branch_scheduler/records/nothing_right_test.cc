// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/records/nothing_right.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

namespace attnrl::scheduler {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

BatchVerdicts Batch(std::initializer_list<std::pair<Verdict, uint64_t>> counts,
                    uint64_t truncated = 0) {
  BatchVerdicts batch{.truncated = truncated};
  for (const auto& [verdict, count] : counts) batch.verdicts[verdict] = count;
  return batch;
}

// What is said of a run whose first batches are all like this one; "" for nothing.
std::string Said(const BatchVerdicts& batch) {
  const std::vector<BatchVerdicts> first(kFirstBatches, batch);
  return NothingRight(first, 160, "runs/mine-1").value_or("");
}

TEST(NothingRight, SaysWhatWasWrongWhatHelpsAndWhereToLook) {
  // 240 responses: 211 without a box, 29 with an empty one, 168 cut off.
  const std::vector<BatchVerdicts> first = {
      Batch({{Verdict::kNoAnswer, 80}}, 60),
      Batch({{Verdict::kNoAnswer, 70}, {Verdict::kUnparsable, 10}}, 50),
      Batch({{Verdict::kNoAnswer, 61}, {Verdict::kUnparsable, 19}}, 58)};
  EXPECT_EQ(NothingRight(first, 160, "runs/mine-1"),
            "no response of the first 3 batches was right (240 in all): 88 % had no \\boxed{} "
            "answer, 12 % had an empty or unreadable \\boxed{}, 70 % were cut off at 160 tokens; "
            "raise rollout.max_response_tokens; see `attnrl show runs/mine-1 --batch 0`");
}

TEST(NothingRight, IsSilentWhereOneResponseWasRight) {
  std::vector<BatchVerdicts> first(kFirstBatches, Batch({{Verdict::kNoAnswer, 500}}));
  for (BatchVerdicts& batch : first) {
    batch.verdicts[Verdict::kCorrect] = 1;
    EXPECT_EQ(NothingRight(first, 160, "r"), std::nullopt);
    batch.verdicts[Verdict::kCorrect] = 0;
  }
  EXPECT_NE(NothingRight(first, 160, "r"), std::nullopt);
}

TEST(NothingRight, WaitsForTheThirdBatchAndLooksAtNoLaterOne) {
  std::vector<BatchVerdicts> first;
  for (size_t i = 0; i < kFirstBatches; ++i) {
    EXPECT_EQ(NothingRight(first, 160, "r"), std::nullopt);
    first.push_back(Batch({{Verdict::kIncorrect, 4}}));
  }
  const auto said = NothingRight(first, 160, "r");
  ASSERT_TRUE(said.has_value());
  first.push_back(Batch({{Verdict::kCorrect, 4}}));
  EXPECT_EQ(NothingRight(first, 160, "r"), said);
}

TEST(NothingRight, IsSilentAboutBatchesThatWereNotCounted) {
  std::vector<BatchVerdicts> first(kFirstBatches, Batch({{Verdict::kNoAnswer, 9}}));
  first[1] = {};
  EXPECT_EQ(NothingRight(first, 160, "r"), std::nullopt);
}

TEST(NothingRight, ASmallShareIsNeverNothingAndALargeOneNeverAll) {
  EXPECT_THAT(Said(Batch({{Verdict::kNoAnswer, 1000}, {Verdict::kLimit, 1}})),
              HasSubstr(": over 99 % had no \\boxed{} answer, under 1 % exceeded a limit"));
  EXPECT_THAT(Said(Batch({{Verdict::kNoAnswer, 7}})),
              AllOf(HasSubstr(": 100 % had no \\boxed{} answer; "), Not(HasSubstr("cut off"))));
}

TEST(NothingRight, AdvisesMoreTokensWhereHalfWereCutOffBeforeAnAnswer) {
  const std::string tokens = "; raise rollout.max_response_tokens; ";
  EXPECT_THAT(Said(Batch({{Verdict::kNoAnswer, 10}}, 5)), HasSubstr(tokens));
  EXPECT_THAT(Said(Batch({{Verdict::kUnparsable, 10}}, 10)), HasSubstr(tokens));
  EXPECT_THAT(Said(Batch({{Verdict::kNoAnswer, 10}}, 4)), Not(HasSubstr(tokens)));
  EXPECT_THAT(Said(Batch({{Verdict::kIncorrect, 10}}, 10)), Not(HasSubstr(tokens)));
}

TEST(NothingRight, AdvisesAskingForTheBoxWhereResponsesEndWithoutOne) {
  EXPECT_THAT(Said(Batch({{Verdict::kNoAnswer, 6}, {Verdict::kIncorrect, 4}})),
              AllOf(HasSubstr("; ask for the answer in \\boxed{} (data.prompt_suffix), and give"),
                    HasSubstr("its template (data.chat, model.chat_template)")));
  EXPECT_THAT(Said(Batch({{Verdict::kNoAnswer, 3}, {Verdict::kUnparsable, 4}})),
              HasSubstr("; say what belongs in \\boxed{} (data.prompt_suffix), and give"));
}

TEST(NothingRight, AdvisesByTheMostFrequentCause) {
  EXPECT_THAT(Said(Batch({{Verdict::kNoAnswer, 4}, {Verdict::kIncorrect, 6}})),
              AllOf(HasSubstr("60 % had a wrong answer"), HasSubstr("; begin with easier")));
  EXPECT_THAT(Said(Batch({{Verdict::kNoAnswer, 4}, {Verdict::kLimit, 6}})),
              HasSubstr("; look at what the model writes into \\boxed{}; "));
  EXPECT_THAT(Said(Batch({{Verdict::kNoAnswer, 5}, {Verdict::kTimeout, 3}, {Verdict::kCrash, 3}})),
              AllOf(HasSubstr("55 % could not be graded (time-out or crash)"),
                    HasSubstr("; the verifier's log says why; verifier.timeout_ms")));
}

TEST(NothingRight, FitsALineOfTheLogWithWhateverIsWrong) {
  BatchVerdicts all = {.truncated = 3};
  for (const Word<Verdict>& each : WordsOf(Verdict{})) all.verdicts[each.value] = 1;
  all.verdicts[Verdict::kCorrect] = 0;
  all.verdicts[Verdict::kNoAnswer] = 9;
  // Texts in the log are cut to 500 bytes; the folder, which is last, may be cut.
  EXPECT_LT(Said(all).size(), 500u);
  EXPECT_EQ(Said(all).find('\n'), std::string::npos);
}

}  // namespace
}  // namespace attnrl::scheduler
