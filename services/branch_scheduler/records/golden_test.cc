// SPDX-License-Identifier: Apache-2.0
// One line of each record as it stands in its file, and that no key is ever missing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "common/testing/temporary_folder.h"
#include "services/branch_scheduler/records/records.h"

namespace attnrl::scheduler {
namespace {

using Json = nlohmann::json;
using verifier::GradeStatus;

SampledItem Item(const std::string& worker, std::vector<SampleResult> samples,
                 std::vector<Grade> grades) {
  SampledItem item;
  item.worker = worker;
  item.result.samples = std::move(samples);
  item.result.reused_tokens = 4;
  item.grades = std::move(grades);
  return item;
}

// Batch 3 of a tree run: one problem of two responses, the first branches at two points.
struct Example {
  SchedulerOptions options;
  DataSet data;
  BatchState batch;
  SamplingVersions versions = {{1, "aa"}, {2, "bb"}};
  BatchCommit commit;
  StepTiming timing;

  Example() {
    options.branching = {.criterion = tree::Criterion::kFci, .points = 2, .children = 2};
    options.tree_advantages = true;
    data.problems.push_back({"p-1", {1, 2}, {"1"}});
    batch.number = 3;
    Problem problem;
    problem.responses.resize(2);
    Response& first = problem.responses[0];
    first.initial = Item("w0",
                         {{0,
                           {4, 5, 6},
                           {-0.5F, -1, 0},
                           {1, 0.5F, 2},
                           FinishReason::kStop,
                           {{0, 2}, {2, 3}, {3, 5}},
                           {0, 0, 0.25F}}},
                         {{GradeStatus::kGraded, true, "1", 0}});
    first.initial->result.span = {10, 12};
    first.initial->grading = {12, 12.5};
    first.expansion = {{{0, 2}, {2, 3}, {3, 5}}, {1, 2}, {"threshold", "fill"}};
    first.continuation = Item("w1",
                              {{2, {7}, {-1}, {1}, FinishReason::kLength, {}, {}},
                               {3, {8, 9}, {-1, -2}, {1, 1}, FinishReason::kStop, {}, {}},
                               {4, {7}, {-1}, {1}, FinishReason::kStop, {}, {}},
                               {5, {7}, {-1}, {1}, FinishReason::kStop, {}, {}}},
                              {{GradeStatus::kNoAnswer, false, "", -1},
                               {GradeStatus::kGraded, true, "1", 0},
                               {GradeStatus::kGraded, true, "1", 0},
                               {GradeStatus::kGraded, true, "1", 0}});
    first.continuation->result.span = {13, 14};
    first.continuation->grading = {14, 15};
    Response& second = problem.responses[1];
    second.initial =
        Item("w\"1", {{1, {4}, {-0.5F}, {1}, FinishReason::kLength, {{0, 2}, {2, 3}}, {0, 0.75F}}},
             {{GradeStatus::kUnparsable, false, "", -1}});
    second.initial->result.span = {11, 13};
    second.initial->grading = {13, 13.25};
    second.expansion.steps = {{0, 2}, {2, 3}};
    batch.problems = {problem};

    TrainStatistics& statistics = commit.statistics;
    statistics = {.loss = 0.25,
                  .kl = std::numeric_limits<double>::quiet_NaN(),
                  .entropy = 1.5,
                  .ratio_max = 2,
                  .clip_low = 0.125,
                  .clip_high = 0.5,
                  .importance_mean = 1.25,
                  .importance_max = 3,
                  .importance_truncated = std::numeric_limits<double>::quiet_NaN(),
                  .effective_samples = 0.75,
                  .behaviour_k1 = 0.5,
                  .behaviour_k3 = 0.25,
                  .grad_norm = 3,
                  .learning_rate = 1e-6,
                  .trained_tokens = 8,
                  .trained_tokens_unpacked = 13,
                  .optimizer_steps = 2,
                  .nonfinite_steps = 1,
                  .wait_seconds = 0.75,
                  .train = Span{12, 16},
                  .sync = Span{16, 18}};
    commit.batch = 3;
    commit.best = BestCheckpoint{.step = 2, .accuracy = 0.625};
    timing = {.step_seconds = 7, .window_start = 11, .rollouts = {{10, 12.5}, {15, 20}}};
  }
  std::string Metrics() const {
    return MetricsLine(batch, FactsOf(options, batch, JudgeAll(options, batch)), versions, commit,
                       timing);
  }
  std::string Tree() const {
    return TreeLine(options, data, batch, batch.problems[0],
                    Judge(options, 8192, batch.problems[0]), versions);
  }
};

TEST(Golden, AMetricsLine) {
  EXPECT_EQ(
      Example().Metrics(),
      R"({"step":3,"weight_version":4,"reward_mean":0.6666666666666666,)"
      R"("initial_accuracy":0.5,"problems":1,"valid_samples":5,"valid_ratio":1.0,"leaves":6,)"
      R"("verdicts":{"correct":4,"incorrect":0,"no_answer":1,"unparsable":1,"limit":0,)"
      R"("timeout":0,"crash":0},)"
      R"("generated_tokens":9,"prefix_tokens_reused":12,"trained_tokens":8,)"
      R"("trained_tokens_unpacked":13,"lag_initial":[2,2],"lag_continuation":[1,1],)"
      R"("loss":0.25,"kl":null,"entropy":1.5,"ratio_max":2.0,"clip_low":0.125,)"
      R"("clip_high":0.5,"importance_mean":1.25,"importance_max":3.0,)"
      R"("importance_truncated":null,"effective_samples":0.75,"behaviour_k1":0.5,)"
      R"("behaviour_k3":0.25,"grad_norm":3.0,"learning_rate":1e-06,"optimizer_steps":2,)"
      R"("nonfinite_steps":1,"response_tokens_mean":2.5,"truncated_ratio":0.3333333333333333,)"
      R"("fci_mean":0.4375,"branch_gain":0.5,"initial_gain":1.0,"continuation_tokens_mean":1.25,)"
      R"("seconds":{"step":7.0,"rollout":4.0,)"
      R"("verify":1.75,"learn":4.0,"wait":0.75,"sync":2.0},"overlap":0.6,)"
      R"("best_checkpoint":2,"best_checkpoint_accuracy":0.625})");
}

TEST(Golden, AnEventLine) {
  const Span span{1795518831.5928335, 1795518832.25};
  EXPECT_EQ(EventLine({"initial", 3, ItemId{17179869186}, 1, "w0", span}),
            R"({"kind":"initial","batch":3,"item":17179869186,"version":1,"worker":"w0",)"
            R"("start":1795518831.592834,"end":1795518832.25})");
  EXPECT_EQ(EventLine({"sync", 3, std::nullopt, 4, std::nullopt, {0.25, 0.5000004}}),
            R"({"kind":"sync","batch":3,"item":null,"version":4,"worker":null,)"
            R"("start":0.25,"end":0.5})");
}

TEST(Golden, ATreeLine) {
  EXPECT_EQ(
      Example().Tree(),
      R"({"batch":3,"position":0,"problem_id":"p-1","prompt_ids":[1,2],"kept":"all",)"
      R"("responses":[{"token_ids":[4,5,6],"logprobs":[-0.5,-1.0,0.0],"entropy":[1.0,0.5,)"
      R"(2.0],"finish_reason":"stop","version":1,"digest":"aa","worker":"w0","steps":[[0,2],)"
      R"([2,3],[3,5]],"fci":[0.0,0.0,0.25],"reward":1.0,"verdict":"graded","extracted":"1",)"
      R"("expanded":true,"points":[1,2],"point_origin":["threshold","fill"],"segments":[[1,)"
      R"(0.11925695879998885],[1,0.3079201435678004],[1,0.33333333333333337]],)"
      R"("branches":[{"split":1,"children":[{"token_ids":[7],"logprobs":[-1.0],)"
      R"("finish_reason":"length","version":2,"digest":"bb","worker":"w1","reward":0.0,)"
      R"("verdict":"no_answer","segments":[[1,0.11925695879998885],[1,-1.4666666666666668]]},)"
      R"({"token_ids":[8,9],"logprobs":[-1.0,-2.0],"finish_reason":"stop","version":2,)"
      R"("digest":"bb","worker":"w1","reward":1.0,"verdict":"graded","segments":[[1,)"
      R"(0.11925695879998885],[2,0.5333333333333333]]}]},{"split":2,)"
      R"("children":[{"token_ids":[7],"logprobs":[-1.0],"finish_reason":"stop","version":2,)"
      R"("digest":"bb","worker":"w1","reward":1.0,"verdict":"graded","segments":[[1,)"
      R"(0.11925695879998885],[1,0.3079201435678004],[1,0.33333333333333337]]},)"
      R"({"token_ids":[7],"logprobs":[-1.0],"finish_reason":"stop","version":2,"digest":"bb",)"
      R"("worker":"w1","reward":1.0,"verdict":"graded","segments":[[1,0.11925695879998885],)"
      R"([1,0.3079201435678004],[1,0.33333333333333337]]}]}]},{"token_ids":[4],)"
      R"("logprobs":[-0.5],"entropy":[1.0],"finish_reason":"length","version":1,)"
      R"("digest":"aa","worker":"w\"1","steps":[[0,2],[2,3]],"fci":[0.0,0.75],"reward":0.0,)"
      R"("verdict":"unparsable","extracted":null,"expanded":false,"points":[],)"
      R"("point_origin":[],"segments":null,"branches":[]}]})");
}

// ---- every key is always there

void CollectKeys(const Json& value, const std::string& path, std::set<std::string>* keys) {
  if (value.is_object()) {
    for (const auto& [key, inner] : value.items()) {
      keys->insert(path + key);
      CollectKeys(inner, path + key + ".", keys);
    }
  } else if (value.is_array()) {
    for (const Json& inner : value) CollectKeys(inner, path, keys);
  }
}

std::set<std::string> KeysOf(const std::string& line) {
  std::set<std::string> keys;
  CollectKeys(Json::parse(line), "", &keys);
  return keys;
}

std::vector<Example> Variants() {
  std::vector<Example> all(6);
  all[0].batch.problems.clear();
  all[1].batch.problems[0].ungradable = true;
  all[2].batch.problems[0].filtered = true;
  all[3].commit.statistics = {};  // nothing was trained
  all[3].timing = {};
  all[3].commit.best = std::nullopt;
  Problem& plain = all[4].batch.problems[0];
  for (Response& response : plain.responses) {
    response.continuation.reset();
    response.expansion = {};
    response.initial->result.samples[0].fci.clear();
    response.initial->grades[0] = {GradeStatus::kCrash, false, "", -1};
  }
  plain.ungradable = true;
  all[5].commit.statistics.loss = std::numeric_limits<double>::infinity();
  all[5].commit.statistics.wait_seconds = std::numeric_limits<double>::quiet_NaN();
  all[5].commit.statistics.learning_rate = std::numeric_limits<double>::quiet_NaN();
  return all;
}

TEST(Records, EveryKeyOfAMetricsLineIsThereWhateverTheBatch) {
  const std::set<std::string> keys = KeysOf(Example().Metrics());
  EXPECT_EQ(keys.size(), 54u);
  for (const Example& example : Variants()) EXPECT_EQ(KeysOf(example.Metrics()), keys);
}

TEST(Records, WhatDoesNotApplyIsNull) {
  const std::vector<Example> variants = Variants();
  const Json empty = Json::parse(variants[0].Metrics());
  for (const char* key : {"reward_mean",
                          "initial_accuracy",
                          "valid_ratio",
                          "lag_initial",
                          "lag_continuation",
                          "loss",
                          "kl",
                          "entropy",
                          "ratio_max",
                          "clip_low",
                          "clip_high",
                          "grad_norm",
                          "response_tokens_mean",
                          "truncated_ratio",
                          "fci_mean",
                          "branch_gain",
                          "initial_gain",
                          "continuation_tokens_mean",
                          "importance_mean",
                          "effective_samples",
                          "behaviour_k3"}) {
    EXPECT_TRUE(empty[key].is_null()) << key;
  }
  EXPECT_EQ(empty["learning_rate"], 1e-6) << "of the step, trained or not";
  const Json untrained = Json::parse(variants[3].Metrics());
  EXPECT_TRUE(untrained["overlap"].is_null());
  EXPECT_TRUE(untrained["best_checkpoint"].is_null());
  EXPECT_TRUE(untrained["best_checkpoint_accuracy"].is_null());
  EXPECT_TRUE(untrained["seconds"]["learn"].is_null());
  EXPECT_TRUE(untrained["seconds"]["sync"].is_null());
  const Json odd = Json::parse(variants[5].Metrics());
  EXPECT_TRUE(odd["loss"].is_null());
  EXPECT_TRUE(odd["learning_rate"].is_null());
  EXPECT_TRUE(odd["seconds"]["wait"].is_null());
  const Json crashed = Json::parse(variants[4].Tree());
  EXPECT_TRUE(crashed["responses"][0]["reward"].is_null());
  EXPECT_EQ(crashed["responses"][0]["verdict"], "crash");
}

TEST(Records, EveryKeyOfATreeLineIsThereWhateverTheProblem) {
  const std::set<std::string> whole = KeysOf(Example().Tree());
  const std::vector<Example> variants = Variants();
  for (const size_t i : {1, 2, 3}) EXPECT_EQ(KeysOf(variants[i].Tree()), whole) << i;
  std::set<std::string> unbranched;
  for (const std::string& key : whole) {
    if (!key.starts_with("responses.branches.")) unbranched.insert(key);
  }
  EXPECT_EQ(KeysOf(variants[4].Tree()), unbranched);
}

TEST(Records, UngradablePointsAndProblemsAreLeftOutOfTheShares) {
  Example example;
  example.batch.problems[0].responses[0].continuation->grades[0].status = GradeStatus::kTimeout;
  const Json line = Json::parse(example.Metrics());
  EXPECT_EQ(line["branch_gain"], 0.0) << "the other point agrees";
  EXPECT_EQ(line["initial_accuracy"], 0.5);
  example.batch.problems[0].ungradable = true;
  EXPECT_TRUE(Json::parse(example.Metrics())["initial_accuracy"].is_null());
  EXPECT_TRUE(Json::parse(example.Metrics())["initial_gain"].is_null());
}

TEST(Records, ATreeFileHasALineForEachProblemAndTheSameBytesAgain) {
  const TemporaryFolder folder(TemporaryFolder::On::kMemory);
  Example example;
  example.options.records = folder.path();
  example.batch.problems.push_back(example.batch.problems[0]);
  example.batch.problems[1].position = 1;
  EXPECT_TRUE(absl::IsNotFound(
      WriteTreeFile(example.options, example.data, example.batch, example.versions)));
  folder.Write("trees/batch-3.jsonl", "half of it");
  ASSERT_TRUE(WriteTreeFile(example.options, example.data, example.batch, example.versions).ok());
  const std::string bytes = folder.Read("trees/batch-3.jsonl");
  EXPECT_EQ(std::count(bytes.begin(), bytes.end(), '\n'), 2);
  EXPECT_TRUE(bytes.starts_with(example.Tree() + "\n"));
  ASSERT_TRUE(WriteTreeFile(example.options, example.data, example.batch, example.versions).ok());
  EXPECT_EQ(folder.Read("trees/batch-3.jsonl"), bytes);
}

}  // namespace
}  // namespace attnrl::scheduler
