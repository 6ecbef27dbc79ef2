// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "common/testing/shared_data.h"
#include "common/tree/branch_points.h"

namespace attnrl::tree {
namespace {

using Json = nlohmann::json;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr PointOrigin kThreshold = PointOrigin::kThreshold;
constexpr PointOrigin kFill = PointOrigin::kFill;
constexpr PointOrigin kDuplicate = PointOrigin::kDuplicate;
constexpr PointOrigin kChosen = PointOrigin::kChosen;

std::vector<int64_t> Splits(const std::vector<BranchPoint>& points) {
  std::vector<int64_t> splits;
  for (const BranchPoint& point : points) splits.push_back(point.split);
  return splits;
}

// A prompt of 10 tokens and response steps of 10 tokens each.
std::vector<StepRange> TenTokenSteps(int64_t response_steps) {
  std::vector<StepRange> steps;
  for (int64_t i = 0; i <= response_steps; ++i) steps.emplace_back(10 * i, 10 * i + 10);
  return steps;
}

TEST(ScoredPoints, EqualTheReferenceOnItsOwnCases) {
  const std::string path = SharedData("data/oracle/tree/select.jsonl");
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
  std::ifstream in(path);
  int cases = 0;
  for (std::string line; std::getline(in, line); ++cases) {
    const Json record = Json::parse(line);
    SCOPED_TRACE(record["id"].dump() + record["kind"].dump());
    const auto steps = record["step_ranges"].get<std::vector<StepRange>>();
    const auto fci = record["expected"]["masked_scores"].get<std::vector<float>>();
    ASSERT_EQ(fci.size(), steps.size());
    const SelectionOptions options{record["num_splits"], record["quantile"],
                                   record["min_distance"]};
    const auto expected = [&record](const char* name) {  // null: the reference loops forever
      const Json& offsets = record["expected"][name];
      return offsets.is_null() ? std::vector<int64_t>() : offsets.get<std::vector<int64_t>>();
    };
    EXPECT_EQ(Splits(PositionalPoints(steps, fci, options)), expected("branch_offsets"));
    EXPECT_EQ(Splits(TopPoints(steps, fci, options, false)), expected("top_n_offsets"));
    EXPECT_EQ(Splits(TopPoints(steps, fci, options, true)), expected("top_n_spaced_offsets"));
  }
  EXPECT_GT(cases, 0);
}

TEST(PositionalPoints, AreTheEarliestStepsThatReachTheQuantile) {
  const std::vector<float> fci = {0, 0, 1, 5, 2, 9, 3, 8, 1, 0, 0};  // 0.8-quantile: 5.6
  EXPECT_THAT(PositionalPoints(TenTokenSteps(10), fci, {2, 0.8, 0}),
              ElementsAre(BranchPoint{40, kThreshold}, BranchPoint{60, kThreshold}));
  EXPECT_THAT(PositionalPoints(TenTokenSteps(10), fci, {1, 0.5, 0}),
              ElementsAre(BranchPoint{20, kThreshold}));
}

TEST(PositionalPoints, TakeAScoreThatEqualsTheThreshold) {
  const std::vector<float> fci = {0, 0, 1, 1, 1, 1};  // 0.8-quantile: 1
  EXPECT_THAT(PositionalPoints(TenTokenSteps(5), fci, {2, 0.8, 0}),
              ElementsAre(BranchPoint{10, kThreshold}, BranchPoint{20, kThreshold}));
}

TEST(PositionalPoints, TakeTheSmallestPositiveScoreWhereTheQuantileIsZero) {
  const std::vector<float> fci = {0, 0, 0, 0, 0, 0.25F, 0, 0, 0.5F, 0, 0};
  EXPECT_THAT(PositionalPoints(TenTokenSteps(10), fci, {2, 0.5, 0}),
              ElementsAre(BranchPoint{40, kThreshold}, BranchPoint{70, kThreshold}));
}

TEST(PositionalPoints, QualifyEveryStepButTheFirstWhereNoScoreIsPositive) {
  const std::vector<float> fci(7, 0.0F);
  EXPECT_THAT(PositionalPoints(TenTokenSteps(6), fci, {2, 0.8, 0}),
              ElementsAre(BranchPoint{10, kThreshold}, BranchPoint{20, kThreshold}));
}

TEST(PositionalPoints, NeverTakeTheFirstResponseStepWhateverItsScore) {
  const std::vector<float> fci = {0, 9, 0, 1};
  EXPECT_THAT(PositionalPoints(TenTokenSteps(3), fci, {1, 1.0, 0}),
              ElementsAre(BranchPoint{10, kFill}));
}

TEST(PositionalPoints, CountThePromptInTheDistanceFromTheStart) {
  const std::vector<float> fci(7, 0.0F);
  EXPECT_THAT(PositionalPoints(TenTokenSteps(6), fci, {1, 0.8, 40}),
              ElementsAre(BranchPoint{30, kThreshold}));  // position 40
}

TEST(PositionalPoints, KeepTheDistanceFromTheEndOfTheLastOneTaken) {
  const std::vector<float> fci(9, 0.0F);
  EXPECT_THAT(PositionalPoints(TenTokenSteps(8), fci, {3, 0.8, 20}),
              ElementsAre(BranchPoint{10, kThreshold}, BranchPoint{40, kThreshold},
                          BranchPoint{70, kThreshold}));
}

TEST(PositionalPoints, FillUpWithTheEarliestStepsNotTaken) {
  const std::vector<float> fci = {0, 0, 0, 7, 0, 0};
  EXPECT_THAT(
      PositionalPoints(TenTokenSteps(5), fci, {3, 0.8, 0}),
      ElementsAre(BranchPoint{10, kFill}, BranchPoint{20, kThreshold}, BranchPoint{30, kFill}));
  EXPECT_THAT(PositionalPoints(TenTokenSteps(5), fci, {2, 0.8, 1000}),
              ElementsAre(BranchPoint{10, kFill}, BranchPoint{20, kFill}));
}

TEST(PositionalPoints, RepeatFromTheFrontWhereStepsRunOut) {
  const std::vector<float> fci = {0, 0, 0, 7};
  EXPECT_THAT(
      PositionalPoints(TenTokenSteps(3), fci, {5, 0.8, 0}),
      ElementsAre(BranchPoint{10, kFill}, BranchPoint{10, kDuplicate}, BranchPoint{10, kDuplicate},
                  BranchPoint{20, kThreshold}, BranchPoint{20, kDuplicate}));
}

TEST(PositionalPoints, DoNotExistInAResponseOfOneStep) {
  EXPECT_THAT(PositionalPoints(TenTokenSteps(1), std::vector<float>{0, 0}, {2, 0.8, 0}), IsEmpty());
  EXPECT_THAT(PositionalPoints({}, {}, {2, 0.8, 0}), IsEmpty());
  EXPECT_THAT(PositionalPoints(TenTokenSteps(2), std::vector<float>{0, 0, 1}, {0, 0.8, 0}),
              IsEmpty());
}

TEST(TopPoints, AreTheHighestScoresInOrderOfPosition) {
  const std::vector<float> fci = {0, 0, 3, 9, 1, 7};
  EXPECT_THAT(TopPoints(TenTokenSteps(5), fci, {2, 0.8, 512}, false),
              ElementsAre(BranchPoint{20, kChosen}, BranchPoint{40, kChosen}));
}

TEST(TopPoints, GoToTheEarlierOfEqualSteps) {
  const std::vector<float> fci = {0, 0, 3, 3, 3, 3};
  EXPECT_THAT(Splits(TopPoints(TenTokenSteps(5), fci, {2, 0.8, 512}, false)), ElementsAre(10, 20));
}

TEST(TopPoints, LeaveOutTheFirstStepAndScoresThatAreNotPositive) {
  const std::vector<float> fci = {9, 9, 0, 3, 0, 0};
  EXPECT_THAT(Splits(TopPoints(TenTokenSteps(5), fci, {2, 0.8, 512}, false)), ElementsAre(20));
}

TEST(TopPoints, KeepTheDistanceOnBothSidesWhereSpaced) {
  const std::vector<float> fci = {0, 0, 1, 8, 9, 8, 2, 3};
  EXPECT_THAT(Splits(TopPoints(TenTokenSteps(7), fci, {3, 0.8, 10}, true)),
              ElementsAre(10, 30, 60));
  EXPECT_THAT(Splits(TopPoints(TenTokenSteps(7), fci, {3, 0.8, 45}, true)), ElementsAre(40));
}

}  // namespace
}  // namespace attnrl::tree
