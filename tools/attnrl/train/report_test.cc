// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

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
  const auto line =
      ParseStepLine(R"({"step":0,"initial_accuracy":0.5,"valid_samples":8,"branch_gain":0.355,)"
                    R"("initial_gain":0.43,"seconds":{}})");
  ASSERT_TRUE(line.has_value());
  EXPECT_THAT(FormatStep(*line, 40),
              HasSubstr("accuracy 0.500  branch gain 0.35 (responses 0.43)  trained 8 samples  s"));
}

TEST(Report, ShowsWhatWasSkippedInAStep) {
  const auto line = ParseStepLine(
      R"({"step":0,"valid_samples":8,"optimizer_steps":2,"nonfinite_steps":1,"seconds":{}})");
  ASSERT_TRUE(line.has_value());
  EXPECT_THAT(
      FormatStep(*line, 40),
      HasSubstr("trained 8 samples, skipped 1 of 3 optimizer steps as not finite  sampled"));
}

TEST(Report, ShowsTheVerdictsOfAStepOnOneLine) {
  const auto line = ParseStepLine(
      R"({"step":2,"verdicts":{"correct":0,"incorrect":2,"no_answer":70,"unparsable":7,"limit":0,)"
      R"("timeout":1,"crash":0},"truncated_ratio":0.7})");
  ASSERT_TRUE(line.has_value());
  EXPECT_EQ(FormatVerdicts(*line),
            "verdicts 0 correct, 2 incorrect, 70 no_answer, 7 unparsable, 0 limit, 1 timeout, "
            "0 crash; 56 of 80 cut off");
  EXPECT_EQ(FormatVerdicts(*ParseStepLine(R"({"step":2})")), "") << "of an older run";
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

// Lines as a run of `steps` steps writes them, step by step longer, slower and better.
std::vector<StepLine> Lines(size_t steps) {
  std::vector<StepLine> lines(steps);
  for (size_t i = 0; i < steps; ++i) {
    const auto step = static_cast<double>(i);
    lines[i].step = static_cast<int64_t>(i);
    lines[i].accuracy = 0.25 + step / 64;
    lines[i].entropy = 0.5 - step / 32;
    lines[i].response_tokens = 100 + step;
    lines[i].generated_tokens = 10'000;
    lines[i].step_seconds = 2 + step / 4;
  }
  return lines;
}

TEST(Report, SummaryIsThisTable) {
  EXPECT_EQ(FormatSummary(Lines(12), absl::Seconds(83)),
            "12 steps, 120.0 k sampled tokens, 1 min 23 s\n"
            "mean over steps                      1-2       11-12\n"
            "accuracy (training problems)       0.258       0.414\n"
            "entropy                            0.484       0.172\n"
            "response tokens                    100.5       110.5\n"
            "seconds a step                      2.12        4.62\n");
}

TEST(Report, SummaryOfFewStepsComparesTheFirstWithTheLast) {
  EXPECT_EQ(FormatSummary(Lines(1), absl::Hours(3)),
            "1 step, 10.0 k sampled tokens, 3 h 0 min\n"
            "mean over steps                        1           1\n"
            "accuracy (training problems)       0.250       0.250\n"
            "entropy                            0.500       0.500\n"
            "response tokens                    100.0       100.0\n"
            "seconds a step                      2.00        2.00\n");
  EXPECT_THAT(FormatSummary(Lines(4), absl::Seconds(8)), HasSubstr("    1           4\n"));
  EXPECT_THAT(FormatSummary(Lines(10), absl::Seconds(8)), HasSubstr("  1-2        9-10\n"));
}

TEST(Report, SummaryOfARunThatWasResumedNamesTheStepsByTheirNumbers) {
  std::vector<StepLine> lines = Lines(20);
  lines.erase(lines.begin(), lines.begin() + 8);
  EXPECT_THAT(FormatSummary(lines, absl::Seconds(8)), HasSubstr("  9-10       19-20\n"));
  lines.erase(lines.begin(), lines.begin() + 9);
  EXPECT_THAT(FormatSummary(lines, absl::Seconds(8)),
              ::testing::ContainsRegex("^3 steps, [^\n]*\nmean over steps  *18  *20\n"));
}

TEST(Report, SummaryTakesMeansOverTheStepsThatHaveAValue) {
  std::vector<StepLine> lines = Lines(10);
  lines[0].accuracy = std::nullopt;  // steps 1 and 2, 9 and 10 are compared
  lines[8].entropy = lines[9].entropy = std::nullopt;
  const std::string text = FormatSummary(lines, absl::Seconds(1));
  EXPECT_THAT(text, HasSubstr("accuracy (training problems)       0.266       0.383\n"));
  EXPECT_THAT(text, HasSubstr("entropy                            0.484           -\n"));
}

TEST(Report, StepLineOfNothingButItsNumberHasNoInventedFigures) {
  const auto line = ParseStepLine(R"({"step":0})");
  ASSERT_TRUE(line.has_value());
  EXPECT_EQ(FormatStep(*line, 1),
            "step   1/1  accuracy -  trained 0 samples  sampled 0 tokens (- a response, - % cut)  "
            "entropy -  0.0 s (rollout 0.0, learn 0.0, learner waited 0.0)");
}

TEST(Report, TakesAFieldOfAnotherTypeForAnAbsentOne) {
  for (const char* value : {"null", "\"0.5\"", "true", "[0.5]", "{\"mean\":0.5}"}) {
    const std::string text = std::string(R"({"step":3,"initial_accuracy":)") + value +
                             R"(,"entropy":)" + value + R"(,"generated_tokens":)" + value +
                             R"(,"seconds":)" + value + "}";
    const auto line = ParseStepLine(text);
    ASSERT_TRUE(line.has_value()) << text;
    EXPECT_FALSE(line->accuracy.has_value()) << text;
    EXPECT_FALSE(line->entropy.has_value()) << text;
    EXPECT_EQ(line->generated_tokens, 0) << text;
    EXPECT_EQ(line->step_seconds, 0) << text;
  }
}

TEST(Report, NeedsANumberOfTheStep) {
  for (const char* text : {"", "null", "3", "\"step\"", "{}", R"({"step":null})", R"({"step":"3"})",
                           R"({"step":3)", R"({"step":3}{"step":4})"}) {
    EXPECT_FALSE(ParseStepLine(text).has_value()) << text;
  }
}

TEST(Report, ShortensBytesAndCounts) {
  EXPECT_EQ(FormatBytes(0), "0 MB");
  EXPECT_EQ(FormatBytes(312000000), "312 MB");
  EXPECT_EQ(FormatBytes(999400000), "999 MB");
  EXPECT_EQ(FormatBytes(1000000000), "1.0 GB");
  EXPECT_EQ(FormatBytes(1400000000), "1.4 GB");
  EXPECT_EQ(FormatCount(0), "0");
  EXPECT_EQ(FormatCount(812), "812");
  EXPECT_EQ(FormatCount(999), "999");
  EXPECT_EQ(FormatCount(1000), "1.0 k");
  EXPECT_EQ(FormatCount(999900), "999.9 k");
  EXPECT_EQ(FormatCount(1000000), "1.00 M");
  EXPECT_EQ(FormatCount(1230000), "1.23 M");
  EXPECT_EQ(FormatCount(1780000000), "1.78 B");
}

}  // namespace
}  // namespace attnrl::tools
