// SPDX-License-Identifier: Apache-2.0
#include "common/tree/adaptive_sampling.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
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

std::vector<int64_t> Chosen(const std::vector<bool>& correct, uint32_t position = 0) {
  return ResponsesToExpand(correct, Expand::kDifficulty, ExpandRounding::kCeil,
                           {.seed = 7, .position = position});
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
  const std::vector<int64_t> chosen = Chosen(correct);
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

TEST(ExpansionCount, IsTheTableOfSixResponses) {
  // n exp(-acc): 6, 5.08, 4.30, 3.64, 3.08, 2.61, 2.21.
  const std::vector<int64_t> up = {6, 6, 5, 4, 4, 3, 3}, nearest = {6, 5, 4, 4, 3, 3, 2};
  for (size_t solved = 0; solved <= 6; ++solved) {
    const double accuracy = static_cast<double>(solved) / 6;
    EXPECT_EQ(ExpansionCount(accuracy, 6, ExpandRounding::kCeil), up[solved]) << solved;
    EXPECT_EQ(ExpansionCount(accuracy, 6, ExpandRounding::kNearest), nearest[solved]) << solved;
  }
}

TEST(ResponsesToExpand, FollowsTheRuleForEveryPatternOfVerdicts) {
  for (size_t n = 1; n <= 7; ++n) {
    for (uint32_t pattern = 0; pattern < (1U << n); ++pattern) {
      std::vector<bool> correct;
      for (size_t i = 0; i < n; ++i) correct.push_back((pattern >> i & 1) != 0);
      const auto solved = static_cast<size_t>(std::count(correct.begin(), correct.end(), true));
      const double exact =
          std::exp(-static_cast<double>(solved) / static_cast<double>(n)) * static_cast<double>(n);
      const auto count = static_cast<size_t>(std::ceil(exact));
      const std::vector<int64_t> chosen = Chosen(correct, pattern);
      SCOPED_TRACE(testing::PrintToString(correct));
      EXPECT_TRUE(std::is_sorted(chosen.begin(), chosen.end()));
      EXPECT_EQ(std::adjacent_find(chosen.begin(), chosen.end()), chosen.end());
      if (solved == 0 || solved == n) {
        EXPECT_EQ(chosen.size(), count);
        EXPECT_EQ(chosen.front(), 0);
        EXPECT_EQ(chosen.back(), static_cast<int64_t>(count) - 1);
        continue;
      }
      const bool rarer = 2 * solved < n;  // half and half: the incorrect ones
      const size_t of_rarer = rarer ? solved : n - solved;
      EXPECT_EQ(chosen.size(), std::max(count, of_rarer));
      EXPECT_EQ(std::count_if(chosen.begin(), chosen.end(),
                              [&](int64_t i) { return correct[static_cast<size_t>(i)] == rarer; }),
                static_cast<ptrdiff_t>(of_rarer))
          << "all of the rarer kind";
    }
  }
}

TEST(ResponsesToExpand, TakesAllOfAProblemThatNoResponseSolves) {
  EXPECT_THAT(Chosen({false, false, false}), ElementsAre(0, 1, 2));
}

TEST(ResponsesToExpand, TakesTheFirstOfASolvedProblem) {
  EXPECT_THAT(Chosen({true, true, true, true, true, true}), ElementsAre(0, 1, 2));
}

TEST(ResponsesToExpand, TakesAllIncorrectOnesWhenHalfAreCorrect) {
  EXPECT_THAT(Chosen({true, false, true, false}), IsSupersetOf({1, 3}));
}

TEST(ResponsesToExpand, TakesTheMinorityAloneOrAllWhereToldTo) {
  const auto chosen = [](Expand expand, const std::vector<bool>& correct) {
    return ResponsesToExpand(correct, expand, ExpandRounding::kCeil, {.seed = 7});
  };
  for (const auto& [correct, minority] :
       std::vector<std::pair<std::vector<bool>, std::vector<int64_t>>>{
           {{true, false, true, true}, {1}},
           {{false, false, true, false, true}, {2, 4}},
           {{true, false, true, false}, {1, 3}},
           {{false, false}, {0, 1}},
           {{true, true, true, true, true, true}, {0, 1, 2}}}) {
    EXPECT_EQ(chosen(Expand::kMinority, correct), minority) << testing::PrintToString(correct);
    EXPECT_EQ(chosen(Expand::kAll, correct).size(), correct.size());
  }
}

TEST(ResponsesToExpand, DrawsTheOthersFromTheKey) {
  const std::vector<bool> correct = {true, true, true, true, true, true, true, false};
  EXPECT_EQ(Chosen(correct, 3), Chosen(correct, 3));
  std::set<std::vector<int64_t>> different;
  for (uint32_t position = 0; position < 50; ++position)
    different.insert(Chosen(correct, position));
  EXPECT_GT(different.size(), 10u);
  std::set<int64_t> drawn;
  for (const std::vector<int64_t>& chosen : different) drawn.insert(chosen.begin(), chosen.end());
  EXPECT_EQ(drawn.size(), correct.size()) << "any of them may be drawn";
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

TEST(AttentionFilter, ComparesWithNothingWhereNothingWasSolved) {
  EXPECT_EQ(RunningMean{}.mean(), 0);
  EXPECT_TRUE(KeepSolved(0.1, RunningMean{}));
  EXPECT_FALSE(KeepSolved(0, RunningMean{}));
}

TEST(BatchSize, RoundsWhatTheTargetNeedsDownAndTheSizeUp) {
  const BatchSizing sizing{.first = 64, .min = 1, .max = 1024, .target = 100};
  EXPECT_DOUBLE_EQ(NextBatchReal(10, 7, 90, sizing), 0.9 * 10 + 0.1 * 7);  // 7.8
  EXPECT_EQ(BatchProblems(9.0, sizing), 9);
  EXPECT_EQ(BatchProblems(9.01, sizing), 10);
  EXPECT_EQ(BatchProblems(0.0, sizing), 1);
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
