// SPDX-License-Identifier: Apache-2.0
#include "common/tree/adaptive_sampling.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "common/testing/shared_data.h"

namespace attnrl::tree {
namespace {

using Json = nlohmann::json;
using testing::ElementsAre;
using testing::IsSupersetOf;

std::vector<int64_t> Expand(const std::vector<bool>& correct, uint32_t position = 0) {
  return ResponsesToExpand(correct, ExpandRounding::kCeil, {.seed = 7, .position = position});
}

std::vector<bool> Bools(const Json& numbers) {
  std::vector<bool> values;
  for (const Json& number : numbers) values.push_back(number.get<double>() != 0);
  return values;
}

// One problem of the oracle: what is expanded, and whether the filter keeps it.
void CheckProblem(const Json& problem, const Json& expected, const RunningMean& mean) {
  const std::vector<bool> correct = Bools(problem["acc"]);
  const bool solved = std::count(correct.begin(), correct.end(), false) == 0;
  const bool kept = !solved || KeepSolved(problem["mean_fci"].get<double>(), mean);
  EXPECT_EQ(kept, expected["gathered"].get<bool>());
  if (!kept) return;
  const std::vector<int64_t> chosen = Expand(correct);
  EXPECT_EQ(chosen.size(), expected["expanded_count"].get<size_t>());
  auto must = expected["must_expand"].get<std::vector<int64_t>>();
  EXPECT_THAT(chosen, IsSupersetOf(must));
  const auto from = expected["random_from"].get<std::set<int64_t>>();
  size_t drawn = 0;
  for (const int64_t response : chosen) drawn += from.contains(response) ? 1 : 0;
  EXPECT_EQ(drawn, expected["random_count"].get<size_t>());
  EXPECT_EQ(chosen.size(), must.size() + drawn);
}

TEST(AdaptiveSampling, PlansAsTheReference) {
  const std::string path = SharedData("data/oracle/tree/plan.jsonl");
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
  std::ifstream in(path);
  int cases = 0;
  for (std::string line; std::getline(in, line); ++cases) {
    const Json record = Json::parse(line);
    SCOPED_TRACE(record["id"].get<std::string>());
    RunningMean mean;
    if (!record["prior_solved_count"].is_null()) {  // null: nothing was solved before
      mean.count = record["prior_solved_count"];
      mean.sum = record["prior_solved_mean"].get<double>() * static_cast<double>(mean.count);
    }
    const Json& problems = record["problems"];
    for (const Json& problem : problems) {
      const std::vector<bool> correct = Bools(problem["acc"]);
      if (std::count(correct.begin(), correct.end(), false) == 0) mean.Add(problem["mean_fci"]);
    }
    EXPECT_EQ(mean.count, record["expected"]["solved_count"].get<int64_t>());
    // The reference sums in float32.
    const Json& expected_mean = record["expected"]["solved_mean"];
    if (!expected_mean.is_null()) {
      EXPECT_NEAR(mean.mean(), expected_mean.get<double>(), 1e-6);
    }
    for (size_t i = 0; i < problems.size(); ++i) {
      CheckProblem(problems[i], record["expected"]["problems"][i], mean);
    }
  }
  EXPECT_GT(cases, 5);
}

TEST(ExpansionCount, RoundsUpAsPublishedOrToTheNearestAsInThePaper) {
  EXPECT_EQ(ExpansionCount(0, 6, ExpandRounding::kCeil), 6);
  EXPECT_EQ(ExpansionCount(1, 6, ExpandRounding::kCeil), 3);     // 2.2
  EXPECT_EQ(ExpansionCount(1, 6, ExpandRounding::kNearest), 2);  // 2.2
  EXPECT_EQ(ExpansionCount(1, 1, ExpandRounding::kNearest), 1);  // 0.4: never none
}

TEST(ResponsesToExpand, TakesAllOfAProblemThatNoResponseSolves) {
  EXPECT_THAT(Expand({false, false, false}), ElementsAre(0, 1, 2));
}

TEST(ResponsesToExpand, TakesTheFirstOfASolvedProblem) {
  EXPECT_THAT(Expand({true, true, true, true, true, true}), ElementsAre(0, 1, 2));
}

TEST(ResponsesToExpand, TakesAllIncorrectOnesWhenHalfAreCorrect) {
  EXPECT_THAT(Expand({true, false, true, false}), IsSupersetOf({1, 3}));
}

TEST(ResponsesToExpand, DrawsTheOthersFromTheKey) {
  const std::vector<bool> correct = {true, true, true, true, true, true, true, false};
  EXPECT_EQ(Expand(correct, 3), Expand(correct, 3));
  std::set<std::vector<int64_t>> different;
  for (uint32_t position = 0; position < 50; ++position)
    different.insert(Expand(correct, position));
  EXPECT_GT(different.size(), 10u);
  for (const std::vector<int64_t>& chosen : different) {
    EXPECT_TRUE(std::is_sorted(chosen.begin(), chosen.end()));
    EXPECT_EQ(std::set<int64_t>(chosen.begin(), chosen.end()).size(), chosen.size());
  }
}

TEST(AttentionMean, LeavesOutThePromptAndCountsZeroedSteps) {
  EXPECT_DOUBLE_EQ(AttentionMean(std::vector<std::vector<float>>{{9, 0, 1}, {9, 0, 0, 3, 1}}),
                   0.75);
}

TEST(AttentionFilter, RefusesALoneSolvedProblemAndKeepsTheOneAboveTheMean) {
  RunningMean mean;
  mean.Add(0.5);
  EXPECT_FALSE(KeepSolved(0.5, mean));
  mean.Add(0.7);
  EXPECT_TRUE(KeepSolved(0.7, mean));
  EXPECT_FALSE(KeepSolved(0.5, mean));
}

TEST(BatchSize, MovesATenthOfTheWayToWhatTheTargetNeeds) {
  const BatchSizing sizing{.first = 64, .min = 1, .max = 1024, .target = 1920};
  // 64 problems gave 960 samples: twice as many are needed.
  EXPECT_DOUBLE_EQ(NextBatchReal(64, 64, 960, sizing), 0.9 * 64 + 0.1 * 128);
  EXPECT_EQ(BatchProblems(70.4, sizing), 71);
}

TEST(BatchSize, StaysWithinItsBoundsAlsoAfterABatchWithoutSamples) {
  const BatchSizing sizing{.first = 64, .min = 32, .max = 96, .target = 1920};
  EXPECT_EQ(BatchProblems(NextBatchReal(64, 64, 0, sizing), sizing), 96);
  EXPECT_EQ(BatchProblems(NextBatchReal(1, 1, 5000, sizing), sizing), 32);
}

}  // namespace
}  // namespace attnrl::tree
