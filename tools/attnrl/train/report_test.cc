// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attnrl::tools {
namespace {

using ::testing::HasSubstr;

constexpr char kLine[] =
    R"({"step":11,"reward_mean":0.5,"initial_accuracy":0.431,"loss":null,"valid_samples":96,)"
    R"("generated_tokens":24100,"truncated_ratio":0.02,"response_tokens_mean":171.4,"entropy":0.21,)"
    R"("seconds":{"step":4.12,"rollout":3.0,"learn":2.8,"wait":0.4}})";

TEST(Report, ShowsAStepOnOneLine) {
  const auto line = ParseStepLine(kLine);
  ASSERT_TRUE(line.has_value());
  EXPECT_EQ(
      FormatStep(*line, 40),
      "step  12/40  accuracy 0.431  trained 96 samples  sampled 24.1 k tokens (171 a response, "
      "2 % cut)  entropy 0.210  4.1 s (rollout 3.0, learn 2.8, learner waited 0.4)");
}

TEST(Report, ShowsWhatBranchingGainedWhereARunBranches) {
  const auto line = ParseStepLine(
      R"({"step":0,"initial_accuracy":0.5,"valid_samples":8,"branch_gain":0.355,"seconds":{}})");
  ASSERT_TRUE(line.has_value());
  EXPECT_THAT(FormatStep(*line, 40), HasSubstr("accuracy 0.500  branch gain 0.35  trained 8"));
}

TEST(Report, ShowsNullAsADash) {
  const auto line = ParseStepLine(R"({"step":0,"initial_accuracy":null,"seconds":{}})");
  ASSERT_TRUE(line.has_value());
  EXPECT_THAT(FormatStep(*line, 40), HasSubstr("accuracy -  "));
}

TEST(Report, RefusesWhatIsNoStepLine) {
  EXPECT_FALSE(ParseStepLine("{not json").has_value());
  EXPECT_FALSE(ParseStepLine("[1]").has_value());
}

TEST(Report, ComparesTheFirstFifthWithTheLast) {
  std::vector<StepLine> lines(10);
  for (size_t i = 0; i < lines.size(); ++i) lines[i].accuracy = 0.1 * static_cast<double>(i);
  const std::string text = FormatSummary(lines, absl::Seconds(90));
  EXPECT_THAT(text, HasSubstr("10 steps, 0 sampled tokens, 1 min 30 s"));
  EXPECT_THAT(text, HasSubstr("0.050       0.850"));
  EXPECT_EQ(FormatSummary({}, absl::Seconds(1)), "");
}

TEST(Report, ShortensBytesAndCounts) {
  EXPECT_EQ(FormatBytes(312000000), "312 MB");
  EXPECT_EQ(FormatBytes(1400000000), "1.4 GB");
  EXPECT_EQ(FormatCount(812), "812");
  EXPECT_EQ(FormatCount(1230000), "1.23 M");
}

}  // namespace
}  // namespace attnrl::tools
