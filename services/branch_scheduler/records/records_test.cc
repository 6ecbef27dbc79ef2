// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/records/records.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace attnrl::scheduler {
namespace {

using Json = nlohmann::json;

TEST(Records, SpansAreMergedWhereTheyTouch) {
  const auto merged = MergeSpans({{5, 6}, {1, 2}, {2, 3}, {1.5, 2.5}});
  EXPECT_EQ(merged, (std::vector<Span>{{1, 3}, {5, 6}}));
  EXPECT_DOUBLE_EQ(TotalSeconds(merged), 3);
  EXPECT_DOUBLE_EQ(CommonSeconds(merged, {{2, 5.25}}), 1.25);
  EXPECT_DOUBLE_EQ(CommonSeconds(merged, {}), 0);
}

TEST(Records, AnEventKeepsItsMicroseconds) {
  const Json line = Json::parse(EventLine(
      {"train", 3, std::nullopt, 3, std::nullopt, Span{1795518831.5928335, 1795518832.0000017}}));
  EXPECT_EQ(line["kind"], "train");
  EXPECT_TRUE(line["item"].is_null());
  EXPECT_TRUE(line["worker"].is_null());
  EXPECT_NEAR(line["start"].get<double>(), 1795518831.592834, 6e-7);
}

// A batch of one problem with two responses, the first one right.
struct Written {
  SchedulerOptions options;
  DataSet data;
  BatchState batch;
  std::vector<ProblemOutcome> outcomes;
  SamplingVersions versions = {{1, "a"}, {2, "b"}};
  BatchCommit commit;

  Written() {
    data.problems.push_back({"p\xff", {1, 2}, {"1"}});
    batch.number = 3;
    batch.problems.resize(1);
    for (uint32_t r = 0; r < 2; ++r) {
      SampledItem item;
      item.worker = "w";
      item.result.samples = {{r, {4, 5, 6}, {-1, -1, -1}, {1, 1, 1}, FinishReason::kLength}};
      item.result.span = Span{10.0 + r, 12.0 + r};
      item.grades.resize(1);
      item.grades[0].status = verifier::GradeStatus::kGraded;
      item.grades[0].correct = r == 0;
      item.grading = Span{13, 14};
      Response response;
      response.initial = item;
      batch.problems[0].responses.push_back(response);
    }
    outcomes = JudgeAll(options, batch);
    commit.batch = 3;
    commit.statistics.loss = 0.25;
    commit.statistics.kl = std::numeric_limits<double>::quiet_NaN();
    commit.statistics.train = Span{12, 16};
  }
};

TEST(Records, AMetricsLineCountsTheBatch) {
  Written example;
  StepTiming timing;
  timing.step_seconds = 7;
  timing.window_start = 11;
  timing.rollouts = {{10, 12.5}, {15, 20}};  // 1.5 s, then 1 s until the training ends
  const BatchFacts facts = FactsOf(example.options, example.batch, example.outcomes);
  const Json line =
      Json::parse(MetricsLine(example.batch, facts, example.versions, example.commit, timing));
  EXPECT_EQ(line["step"], 3);
  EXPECT_EQ(line["reward_mean"], 0.5);
  EXPECT_EQ(line["leaves"], 2);
  EXPECT_EQ(line["verdicts"]["correct"], 1);
  EXPECT_EQ(line["verdicts"]["incorrect"], 1);
  EXPECT_EQ(line["verdicts"]["no_answer"], 0);
  EXPECT_EQ(line["generated_tokens"], 6);
  EXPECT_EQ(line["truncated_ratio"], 1.0);
  EXPECT_EQ(line["valid_samples"], 2);
  EXPECT_EQ(line["lag_initial"], Json::array({2, 2}));
  EXPECT_TRUE(line["lag_continuation"].is_null());
  EXPECT_TRUE(line["branch_gain"].is_null());
  EXPECT_EQ(line["loss"], 0.25);
  EXPECT_TRUE(line["kl"].is_null()) << "not finite";
  EXPECT_EQ(line["seconds"]["rollout"], 3.0);
  EXPECT_EQ(line["seconds"]["verify"], 1.0);
  EXPECT_EQ(line["seconds"]["learn"], 4.0);
  EXPECT_TRUE(line["seconds"]["sync"].is_null());
  EXPECT_DOUBLE_EQ(line["overlap"], (0.5 + 1.0) / 2.5);
}

TEST(Records, ATreeLineHoldsWhatIsNeededToCheckTheBatch) {
  Written example;
  const std::string text =
      TreeLine(example.options, example.data, example.batch, example.batch.problems[0],
               example.outcomes[0], example.versions);
  EXPECT_EQ(text.find('\n'), std::string::npos);
  const Json line = Json::parse(text);  // although the id was no UTF-8
  EXPECT_EQ(line["kept"], "all");
  const Json& response = line["responses"][0];
  EXPECT_EQ(response["version"], 1);
  EXPECT_EQ(response["digest"], "a");
  EXPECT_EQ(response["reward"], 1.0);
  EXPECT_EQ(response["verdict"], "graded");
  EXPECT_EQ(response["finish_reason"], "length");
  EXPECT_FALSE(response["expanded"]);
  EXPECT_TRUE(response["steps"].is_null());
  EXPECT_TRUE(response["fci"].is_null());
  EXPECT_EQ(response["segments"][0][0], 3);
  EXPECT_TRUE(response["branches"].empty());
}

}  // namespace
}  // namespace attnrl::scheduler
