// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/decide/outcome.h"

#include <gtest/gtest.h>

#include <cmath>

#include "services/branch_scheduler/decide/expansion.h"

namespace attnrl::scheduler {
namespace {

SampledItem Item(std::vector<std::vector<int32_t>> samples, std::vector<bool> correct) {
  SampledItem item;
  for (size_t i = 0; i < samples.size(); ++i) {
    SampleResult sample;
    sample.node = static_cast<uint32_t>(i);
    sample.logprobs.assign(samples[i].size(), -0.5f);
    sample.entropy.assign(samples[i].size(), 0.5f);
    sample.token_ids = samples[i];
    item.result.samples.push_back(sample);
    Grade grade;
    grade.status = verifier::GradeStatus::kGraded;
    grade.correct = correct[i];
    item.grades.push_back(grade);
  }
  return item;
}

// Every token is a step.
TextTools EveryToken() {
  TextTools tools;
  tools.steps = [](uint32_t prompt, const std::vector<int32_t>& response) {
    std::vector<StepRange> steps = {{0, prompt}};
    for (uint32_t i = 0; i < response.size(); ++i) steps.emplace_back(prompt + i, prompt + i + 1);
    return steps;
  };
  return tools;
}

constexpr uint32_t kMaxTokens = 8192;

SchedulerOptions Options(tree::Criterion criterion) {
  SchedulerOptions options;
  options.branching = {criterion, 2, 2};
  options.tree_advantages = criterion != tree::Criterion::kNone;
  options.steps = 2;
  return options;
}

Problem Group(const std::vector<bool>& correct) {
  Problem problem;
  for (bool right : correct) {
    Response response;
    response.initial = Item({{1, 2, 3, 4}}, {right});
    problem.responses.push_back(response);
  }
  return problem;
}

TEST(Judge, GroupAdvantagesAreRewardsLessTheirMeanOverTheirDeviation) {
  const ProblemOutcome outcome =
      Judge(Options(tree::Criterion::kNone), kMaxTokens, Group({true, false, false, false}));
  EXPECT_EQ(outcome.kept, Kept::kAll);
  EXPECT_EQ(outcome.samples, 4u);
  ASSERT_EQ(outcome.responses[0].size(), 1u);
  EXPECT_EQ(outcome.responses[0][0].tokens, 4u);
  EXPECT_NEAR(outcome.responses[0][0].advantage, 0.75 / (0.5 + 1e-6), 1e-12);
  EXPECT_NEAR(outcome.responses[3][0].advantage, -0.25 / (0.5 + 1e-6), 1e-12);
}

TEST(Judge, AProblemWithoutDifferencesTeachesNothing) {
  for (bool right : {false, true}) {
    const ProblemOutcome outcome =
        Judge(Options(tree::Criterion::kNone), kMaxTokens, Group({right, right}));
    EXPECT_EQ(outcome.kept, Kept::kZeroAdvantage);
    EXPECT_EQ(outcome.samples, 2u) << "they count as samples before the drop rule";
    EXPECT_TRUE(outcome.responses[0].empty());
  }
}

TEST(Judge, AnUngradableProblemIsDropped) {
  Problem problem = Group({true, false});
  problem.ungradable = true;
  const ProblemOutcome outcome = Judge(Options(tree::Criterion::kNone), kMaxTokens, problem);
  EXPECT_EQ(outcome.kept, Kept::kUngradable);
  EXPECT_EQ(outcome.samples, 0u);
}

TEST(Judge, OnlyLeavesOfExpandedResponsesAreSamples) {
  const SchedulerOptions options = Options(tree::Criterion::kEarliest);
  DataSet data;
  data.problems.push_back({"p", {7, 8}, {"1"}});
  Problem problem = Group({true, false});
  problem.responses[1].initial = Item({{9}}, {false});  // one step: not expanded
  Expand(options, EveryToken(), data, 0, {}, &problem);
  EXPECT_EQ(problem.responses[0].expansion.points, (std::vector<uint32_t>{1, 2}));
  EXPECT_EQ(problem.responses[0].expansion.origins[0], "chosen");
  EXPECT_TRUE(problem.responses[1].expansion.points.empty());
  EXPECT_EQ(problem.responses[1].expansion.steps.size(), 2u);
  problem.responses[0].continuation =
      Item({{5}, {5, 5}, {6}, {6, 6, 6}}, {true, false, false, true});

  const ProblemOutcome outcome = Judge(options, kMaxTokens, problem);
  EXPECT_EQ(outcome.kept, Kept::kAll);
  EXPECT_EQ(outcome.samples, 5u);
  EXPECT_TRUE(outcome.responses[1].empty());
  EXPECT_EQ(outcome.responses[0].size(), 3u) << "cut at both points";

  BatchState batch;
  batch.problems.push_back(problem);
  const TrainingBatch made =
      MakeTrainingBatch(options, data, batch, {outcome}, {.initial = 3, .continuation = 4});
  ASSERT_EQ(made.samples.size(), 5u);
  EXPECT_EQ(made.samples[4].response_ids, (std::vector<int32_t>{1, 2, 6, 6, 6}));
  EXPECT_EQ(made.samples[4].versions, (std::vector<VersionRun>{{2, 3, false}, {3, 4, true}}));
  EXPECT_EQ(made.samples[4].prompt_ids, (std::vector<int32_t>{7, 8}));
  EXPECT_FALSE(made.last);
}

TEST(Judge, ABatchSaysHowManyInitialResponsesAreRightThoseItDoesNotTrainIncluded) {
  const SchedulerOptions options = Options(tree::Criterion::kNone);
  DataSet data;
  data.problems.push_back({"p", {7, 8}, {"1"}});
  BatchState batch;
  batch.problems = {Group({true, false}), Group({true, true}), Group({true, true})};
  batch.problems[2].ungradable = true;
  const TrainingBatch made = MakeTrainingBatch(options, data, batch, JudgeAll(options, batch),
                                               {.initial = 3, .continuation = 4});
  EXPECT_EQ(made.samples.size(), 2u);
  EXPECT_EQ(made.graded_responses, 4u);
  EXPECT_EQ(made.right_responses, 3u);
}

TEST(Judge, ResponsesThatDoNotBranchAreSamplesWhereToldTo) {
  SchedulerOptions options = Options(tree::Criterion::kEarliest);
  options.adaptive.train_unexpanded = true;
  DataSet data;
  data.problems.push_back({"p", {7, 8}, {"1"}});
  Problem problem = Group({true, false});
  problem.responses[1].initial = Item({{9}}, {false});  // one step: not expanded
  Expand(options, EveryToken(), data, 0, {}, &problem);
  problem.responses[0].continuation =
      Item({{5}, {5, 5}, {6}, {6, 6, 6}}, {true, false, false, true});
  const ProblemOutcome outcome = Judge(options, kMaxTokens, problem);
  EXPECT_EQ(outcome.samples, 6u);
  ASSERT_EQ(outcome.responses[1].size(), 1u);
  BatchState batch;
  batch.problems.push_back(problem);
  const TrainingBatch made =
      MakeTrainingBatch(options, data, batch, {outcome}, {.initial = 3, .continuation = 4});
  ASSERT_EQ(made.samples.size(), 6u);
  EXPECT_EQ(made.samples[5].response_ids, (std::vector<int32_t>{9}));
}

TEST(Judge, ShapesTheAdvantagesOfLongResponsesByTheirWholeLength) {
  SchedulerOptions options = Options(tree::Criterion::kEarliest);
  const auto last = [&](uint32_t buffer) {
    options.overlong_buffer = buffer;
    DataSet data;
    data.problems.push_back({"p", {7, 8}, {"1"}});
    Problem problem = Group({true});
    Expand(options, EveryToken(), data, 0, {}, &problem);
    problem.responses[0].continuation =
        Item({{5}, {5, 5}, {6}, {6, 6, 6}}, {true, false, false, true});
    return Judge(options, /*max_response_tokens=*/5, problem).children[0][3].back().advantage;
  };
  // V(root) = 3/5, V(parent) = 2/3; with penalties 1 of the last leaf (5 tokens), 1/2 of the
  // response itself (4): 1.5/5 and 0.5/3.
  EXPECT_NEAR(last(0), 0.4 + 1.0 / 3, 1e-12);
  EXPECT_NEAR(last(2), (0 - 0.3) + (0 - 0.5 / 3), 1e-12);
}

TEST(Expand, EntropyTakesTheMostUncertainTokensInOrderOfPosition) {
  DataSet data;
  data.problems.push_back({"p", {7}, {"1"}});
  Problem problem = Group({true});
  problem.responses[0].initial->result.samples[0].entropy = {0.1f, 0.9f, 0.5f, 2.0f};
  Expand(Options(tree::Criterion::kEntropy), EveryToken(), data, 0, {}, &problem);
  EXPECT_EQ(problem.responses[0].expansion.points, (std::vector<uint32_t>{1, 2}))
      << "the last token is excluded";
}

TEST(Expand, NothingBranchesInAProblemThatIsDropped) {
  DataSet data;
  data.problems.push_back({"p", {7}, {"1"}});
  Problem problem = Group({true});
  problem.ungradable = true;
  Expand(Options(tree::Criterion::kEarliest), EveryToken(), data, 0, {}, &problem);
  EXPECT_TRUE(problem.responses[0].expansion.points.empty());
  EXPECT_FALSE(problem.responses[0].expansion.steps.empty());
}

}  // namespace
}  // namespace attnrl::scheduler
