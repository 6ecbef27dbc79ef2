// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/decide/expansion.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace attnrl::scheduler {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr uint32_t kPrompt = 3;

// Steps of two tokens.
std::vector<StepRange> Pairs(uint32_t prompt, const std::vector<int32_t>& response) {
  std::vector<StepRange> steps = {{0, prompt}};
  const auto end = prompt + static_cast<uint32_t>(response.size());
  for (uint32_t i = prompt; i < end; i += 2) steps.emplace_back(i, std::min(i + 2, end));
  return steps;
}

Response Initial(bool correct, const std::vector<float>& fci) {
  SampledItem item;
  SampleResult sample;
  const size_t tokens = 2 * (fci.size() - 1);
  sample.token_ids.assign(tokens, 5);
  sample.entropy.assign(tokens, 0.5f);
  sample.entropy[tokens - 2] = 1;
  sample.fci = fci;
  sample.steps = Pairs(kPrompt, sample.token_ids);
  item.result.samples.push_back(sample);
  Grade grade;
  grade.status = verifier::GradeStatus::kGraded;
  grade.correct = correct;
  item.grades.push_back(grade);
  Response response;
  response.initial = item;
  return response;
}

class ExpandTest : public testing::Test {
 protected:
  ExpandTest() {
    options.branching.criterion = tree::Criterion::kFci;
    options.branching.min_distance = 0;
    options.first.initial_responses = 4;
    data.problems.push_back(DataProblem{"p", std::vector<int32_t>(kPrompt, 1), {"1"}});
    text.steps = Pairs;
  }

  // A problem of four responses with so many correct ones, each of six steps.
  Problem Make(int correct) const {
    Problem problem;
    for (int r = 0; r < 4; ++r) {
      problem.responses.push_back(Initial(r < correct, {0, 0, 0.25f, 0.5f, 0.125f, 0, 0}));
    }
    if (correct == 4) problem.solved_score = SolvedScore(problem);
    return problem;
  }
  Problem Expanded(int correct, double mean = 0) {
    Problem problem = Make(correct);
    Expand(options, text, data, 3, tree::RunningMean{mean, 1}, &problem);
    return problem;
  }
  static std::vector<size_t> Branching(const Problem& problem) {
    std::vector<size_t> branching;
    for (size_t r = 0; r < problem.responses.size(); ++r) {
      if (!problem.responses[r].expansion.points.empty()) branching.push_back(r);
    }
    return branching;
  }

  SchedulerOptions options;
  DataSet data;
  TextTools text;
};

TEST_F(ExpandTest, BranchesAtTheStepsOfHighestAttentionAndSaysHowTheyWereFound) {
  const Expansion expansion = Expanded(0).responses[0].expansion;
  // Scores over the threshold: 0.25 (token 2) and 0.5 (token 4).
  EXPECT_THAT(expansion.points, ElementsAre(2, 4));
  EXPECT_THAT(expansion.origins, ElementsAre("threshold", "threshold"));
  EXPECT_EQ(expansion.steps.size(), 7u);
}

TEST_F(ExpandTest, FillsUpWhereDistanceLeavesTooFewPoints) {
  options.branching.min_distance = 7;
  const Expansion expansion = Expanded(0).responses[0].expansion;
  EXPECT_THAT(expansion.points, ElementsAre(2, 4));
  EXPECT_THAT(expansion.origins, ElementsAre("fill", "threshold"));
}

TEST_F(ExpandTest, TakesTheHighestScoresWhereAsked) {
  options.branching.choice = tree::Choice::kTop;
  options.branching.points = 1;
  EXPECT_THAT(Expanded(0).responses[0].expansion.points, ElementsAre(4));
}

TEST_F(ExpandTest, EveryCriterionGivesPointsAfterTheFirstStep) {
  for (const tree::Criterion criterion :
       {tree::Criterion::kFci, tree::Criterion::kEntropy, tree::Criterion::kRandom,
        tree::Criterion::kFixedLength, tree::Criterion::kEarliest}) {
    options.branching.criterion = criterion;
    const Expansion expansion = Expanded(0).responses[1].expansion;
    ASSERT_EQ(expansion.points.size(), 2u) << static_cast<int>(criterion);
    EXPECT_EQ(expansion.origins.size(), 2u);
    EXPECT_TRUE(std::is_sorted(expansion.points.begin(), expansion.points.end()));
    EXPECT_LT(expansion.points[1], 12u);
    if (criterion != tree::Criterion::kEntropy) {
      EXPECT_GT(expansion.points[0], 0u);
    }
  }
}

TEST_F(ExpandTest, RandomPointsDifferFromResponseToResponseAndNotFromTimeToTime) {
  options.branching.criterion = tree::Criterion::kRandom;
  const Problem once = Expanded(0), again = Expanded(0);
  std::set<std::vector<uint32_t>> different;
  for (size_t r = 0; r < 4; ++r) {
    EXPECT_EQ(once.responses[r].expansion.points, again.responses[r].expansion.points);
    different.insert(once.responses[r].expansion.points);
  }
  EXPECT_GT(different.size(), 1u);
}

TEST_F(ExpandTest, ExpandsEveryResponseWithoutTheDifficultyRule) {
  EXPECT_THAT(Branching(Expanded(3)), ElementsAre(0, 1, 2, 3));
}

TEST_F(ExpandTest, ExpandsTheRarerKindWithTheDifficultyRule) {
  options.adaptive.expand = tree::Expand::kDifficulty;
  const std::vector<size_t> chosen = Branching(Expanded(3));  // ceil(exp(-0.75) 4) = 2
  EXPECT_EQ(chosen.size(), 2u);
  EXPECT_THAT(chosen, testing::Contains(3));
  EXPECT_THAT(Branching(Expanded(0)), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(Branching(Expanded(4)), ElementsAre(0, 1));
}

TEST_F(ExpandTest, BranchesAsManyResponsesAsTheRuleSaysForEveryAccuracy) {
  options.adaptive.expand = tree::Expand::kDifficulty;
  options.branching.criterion = tree::Criterion::kEarliest;
  for (const auto rounding : {tree::ExpandRounding::kCeil, tree::ExpandRounding::kNearest}) {
    options.adaptive.rounding = rounding;
    for (int n = 1; n <= 8; ++n) {
      for (int correct = 0; correct <= n; ++correct) {
        SCOPED_TRACE(testing::Message() << correct << " of " << n);
        Problem problem;
        for (int r = 0; r < n; ++r) {
          problem.responses.push_back(Initial(r % n < correct, {0, 0, 0.25f, 0.5f}));
        }
        Expand(options, text, data, 0, {}, &problem);
        const double exact = std::exp(-double{1} * correct / n) * n;
        int expected = static_cast<int>(
            rounding == tree::ExpandRounding::kCeil ? std::ceil(exact) : std::round(exact));
        expected = std::max(expected, 1);
        if (correct > 0 && correct < n) {
          expected = std::max(expected, 2 * correct < n ? correct : n - correct);
        }
        EXPECT_EQ(Branching(problem).size(), static_cast<size_t>(expected));
      }
    }
  }
}

TEST_F(ExpandTest, DrawsByProblemBatchAndSeed) {
  options.adaptive.expand = tree::Expand::kDifficulty;
  options.branching.criterion = tree::Criterion::kRandom;
  const auto drawn = [this](uint64_t seed, uint32_t batch, uint32_t position) {
    options.seed = seed;
    Problem problem = Make(3);
    problem.position = position;
    Expand(options, text, data, batch, {}, &problem);
    std::vector<std::vector<uint32_t>> points;
    for (const Response& response : problem.responses) points.push_back(response.expansion.points);
    return points;
  };
  std::set<std::vector<std::vector<uint32_t>>> seeds, batches, positions;
  for (uint32_t i = 0; i < 8; ++i) {
    seeds.insert(drawn(i, 0, 0));
    batches.insert(drawn(0, i, 0));
    positions.insert(drawn(0, 0, i));
  }
  for (const auto& each : {seeds, batches, positions}) EXPECT_GT(each.size(), 4u);
  std::set<size_t> joined;  // which of the three correct ones
  for (uint32_t position = 0; position < 30; ++position) {
    const auto points = drawn(0, 0, position);
    EXPECT_FALSE(points[3].empty()) << "the rarer kind";
    for (size_t r = 0; r < 3; ++r) {
      if (!points[r].empty()) joined.insert(r);
    }
  }
  EXPECT_EQ(joined.size(), 3u);
}

TEST_F(ExpandTest, StartsAnewEveryTime) {
  Problem problem = Make(0);
  Expand(options, text, data, 3, {}, &problem);
  const Expansion once = problem.responses[0].expansion;
  Expand(options, text, data, 3, {}, &problem);
  EXPECT_EQ(problem.responses[0].expansion.points, once.points);
  EXPECT_EQ(problem.responses[0].expansion.origins, once.origins);
}

TEST_F(ExpandTest, KeepsTheDistanceAndTheQuantileOfTheConfiguration) {
  options.branching.points = 1;
  options.branching.quantile = 0;
  options.branching.min_distance = kPrompt + 4;  // the third response step begins there
  EXPECT_THAT(Expanded(0).responses[0].expansion.points, ElementsAre(4));
  options.branching.min_distance = kPrompt;
  EXPECT_THAT(Expanded(0).responses[0].expansion.points, ElementsAre(2));
  options.branching.quantile = 1;
  EXPECT_THAT(Expanded(0).responses[0].expansion.points, ElementsAre(4));
}

TEST_F(ExpandTest, FiltersASolvedProblemThatIsNotAboveTheMean) {
  options.adaptive.filter_solved = true;
  const double score = *Make(4).solved_score;
  EXPECT_DOUBLE_EQ(score, 0.875 / 6);
  EXPECT_TRUE(Expanded(4, score).filtered);
  EXPECT_THAT(Branching(Expanded(4, score)), IsEmpty());
  EXPECT_FALSE(Expanded(4, score / 2).filtered);
  EXPECT_FALSE(Expanded(3, 1).filtered) << "not solved";
}

TEST_F(ExpandTest, DropsEverySolvedProblemWhereAsked) {
  options.adaptive.drop_all_solved = true;
  EXPECT_TRUE(Expanded(4).filtered);
  EXPECT_FALSE(Expanded(3).filtered);
}

TEST_F(ExpandTest, AnUngradableProblemHasStepsButNoPoints) {
  Problem problem = Make(0);
  problem.ungradable = true;
  Expand(options, text, data, 3, {}, &problem);
  EXPECT_EQ(problem.responses[0].expansion.steps.size(), 7u);
  EXPECT_THAT(Branching(problem), IsEmpty());
}

}  // namespace
}  // namespace attnrl::scheduler
