// SPDX-License-Identifier: Apache-2.0
// What a run asks of workers and the verifier, what it counts, and what it leaves in the store.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/branch_scheduler/testing/run_bench.h"

namespace attnrl::scheduler::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Json = nlohmann::json;

constexpr ItemKind kInitial = ItemKind::kInitial, kContinuation = ItemKind::kContinuation;

// Overlapped, two problems of two responses, branching at the earliest steps.
SimulationOptions Small() {
  SimulationOptions sizes;
  sizes.criterion = tree::Criterion::kEarliest;
  sizes.problems = 2;
  sizes.responses = 2;
  sizes.steps = 6;
  return sizes;
}

class RunWork : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(bench.Open(), absl::OkStatus());
    ASSERT_EQ(bench.AnnounceVersion(0), absl::OkStatus());
  }
  // The lowest open continuation, once everything before it is sampled and graded.
  ItemId FirstContinuation() {
    while (KeyOfItem(bench.open.begin()->first).kind == kInitial) {
      bench.SampleOne();
      bench.GradeOne();
    }
    return bench.open.begin()->first;
  }
  // Once the batch is trained. Items of batch b are sampled from 10 b to 10 b + 0.51.
  Json OverlapAfter(uint32_t batch, const Span& train) {
    EXPECT_EQ(bench.AnnounceVersion(batch), absl::OkStatus());
    bench.Work();
    BatchCommit commit = CommitOf(batch, Digest(batch + 1));
    commit.statistics.train = train;
    EXPECT_TRUE(bench.Commit(commit).ok());
    return Json::parse(bench.run().last_metrics())["overlap"];
  }
  // What was added to the file since.
  std::vector<Json> Lines(const char* file, size_t after = 0) {
    std::vector<Json> lines;
    const std::vector<Store::JournalRow> rows = *bench.store().LinesAfter(file, 0);
    for (size_t i = after; i < rows.size(); ++i) lines.push_back(Json::parse(rows[i].line));
    return lines;
  }
  static std::vector<int32_t> Whole(const WorkItem& item, const ItemResult& result, size_t i) {
    std::vector<int32_t> whole = item.response_ids;
    whole.resize(item.samples[i].split);
    const std::vector<int32_t>& added = result.samples[i].token_ids;
    whole.insert(whole.end(), added.begin(), added.end());
    return whole;
  }

  RunBench bench{Small()};
};

TEST_F(RunWork, AnInitialItemIsAPromptAndOneWholeResponse) {
  bench.options.adaptive.filter_solved = true;  // scores are asked for
  bench.options.branching.delta = 3;
  const WorkItem item = bench.run().MakeItem(IdOf({1, 1, 1, kInitial}));
  WorkItem expected;
  expected.item = IdOf({1, 1, 1, kInitial});
  expected.batch = 1;
  expected.position = 1;
  expected.version = Version{0, Digest(0)};
  expected.prompt_ids = bench.data.problems[Cursor(7, 7).At(2 + 1)].prompt_ids;
  expected.samples = {{1, 0, 64}};
  expected.sampling = {.seed = 7, .stop_ids = {'.'}};
  expected.score_delta = 3;
  EXPECT_EQ(item, expected);
}

TEST_F(RunWork, AContinuationItemHasAllContinuationsOfOneResponse) {
  const ItemId id = FirstContinuation();
  const ItemKey key = KeyOfItem(id);
  const WorkItem item = bench.run().MakeItem(id);
  EXPECT_EQ(item.kind, kContinuation);
  EXPECT_EQ(item.score_delta, std::nullopt);
  const ItemResult initial =
      bench.ResultOf(IdOf({key.batch, key.position, key.response, kInitial}));
  EXPECT_EQ(item.response_ids, initial.samples[0].token_ids);
  EXPECT_EQ(item.parent, initial.samples[0].node);
  ASSERT_EQ(item.samples.size(), 4u) << "two at each of two points";
  const auto steps =
      bench.text.steps(static_cast<uint32_t>(item.prompt_ids.size()), item.response_ids);
  ASSERT_GE(steps.size(), 3u);
  for (uint32_t i = 0; i < 4; ++i) {
    const SampleRequest& request = item.samples[i];
    EXPECT_EQ(request.node, 2 + (key.response * 2 + i / 2) * 2 + i % 2);
    EXPECT_EQ(request.max_new_tokens, 64 - request.split);
    EXPECT_GE(request.split, steps[2].first - steps[0].second);
  }
  EXPECT_EQ(item.samples[0].split, item.samples[1].split);
  EXPECT_EQ(item.samples[2].split, item.samples[3].split);
}

TEST_F(RunWork, GradesAreAskedForWholeResponses) {
  const ItemId id = FirstContinuation();
  const WorkItem item = bench.run().MakeItem(id);
  const ItemResult result = bench.ResultOf(id);
  while (bench.GradeOne()) {
  }
  ASSERT_TRUE(bench.SampleOne());
  ASSERT_TRUE(bench.ungraded.contains(id));
  const GradeTask& task = bench.ungraded.at(id);
  EXPECT_THAT(*task.answers, ElementsAre("1"));
  ASSERT_EQ(task.responses.size(), item.samples.size());
  for (size_t i = 0; i < task.responses.size(); ++i) {
    EXPECT_EQ(task.responses[i], Whole(item, result, i));
  }
}

TEST_F(RunWork, OpensAsManyBatchesAsTheWeightsAllowAndContinuationsOnceTheirWeightsAreThere) {
  const auto batches = [&] {
    std::vector<uint32_t> numbers;
    for (const BatchStatus& batch : bench.run().Batches()) numbers.push_back(batch.batch);
    return numbers;
  };
  EXPECT_THAT(batches(), ElementsAre(0, 1, 2));
  EXPECT_EQ(bench.open.size(), 3u * 2 * 2);
  bench.Work();
  EXPECT_THAT(batches(), ElementsAre(0, 1, 2));
  for (const BatchStatus& batch : bench.run().Batches()) {
    EXPECT_EQ(batch.graded == 2, batch.batch < 2) << "continuations of batch 2 need W(1)";
  }
  ASSERT_TRUE(bench.Commit(CommitOf(0, Digest(1))).ok());
  EXPECT_THAT(batches(), ElementsAre(1, 2, 3));
  const auto versions = [&](uint32_t batch) {
    std::set<std::pair<ItemKind, uint32_t>> all;
    for (const auto& [item, version] : bench.open) {
      if (KeyOfItem(item).batch == batch) all.emplace(KeyOfItem(item).kind, version);
    }
    return all;
  };
  EXPECT_THAT(versions(2), ElementsAre(std::pair(kContinuation, 1)));
  EXPECT_THAT(versions(3), ElementsAre(std::pair(kInitial, 1)));
}

TEST_F(RunWork, KeepsTheVersionsThatOpenItemsAndLaterBatchesNeed) {
  EXPECT_EQ(bench.run().OldestVersionNeeded(), 0u);
  bench.Work();
  EXPECT_EQ(bench.Commit(CommitOf(0, Digest(1)))->oldest_version_needed, 0u)
      << "batch 1 is not committed: its continuations could be asked for again";
  bench.TrainTo(3);
  EXPECT_EQ(bench.run().newest_version()->number, 3u);
  EXPECT_EQ(bench.run().OldestVersionNeeded(), 2u) << "batch 3's continuations";
  bench.TrainTo(5);
  const auto last = [&] {
    EXPECT_EQ(bench.AnnounceVersion(5, 4), absl::OkStatus());
    bench.Work();
    return bench.Commit(CommitOf(5, Digest(6)));
  }();
  ASSERT_TRUE(last.ok());
  EXPECT_TRUE(last->finished);
  const auto earlier = bench.Commit(CommitOf(4, Digest(5)));
  ASSERT_TRUE(earlier.ok()) << earlier.status();
  EXPECT_FALSE(earlier->finished) << "a learner that makes it again has more to make";
  EXPECT_EQ(last->oldest_version_needed, 6u) << "nothing is open";
}

TEST_F(RunWork, TellsHowFarEveryBatchIs) {
  const auto first = [&] { return bench.run().Batches().front(); };
  EXPECT_EQ(first().problems, 2u);
  EXPECT_EQ(first().initial_total, 4u);
  EXPECT_EQ(first().initial_done, 0u);
  EXPECT_EQ(first().continuation_total, 0u) << "not known yet";
  EXPECT_EQ(first().phase, "sampling");
  const ItemId continuation = FirstContinuation();
  EXPECT_GT(first().initial_done, 0u);
  EXPECT_EQ(first().continuation_done, 0u);
  EXPECT_GT(first().continuation_total, 0u);
  bench.SampleOne();
  EXPECT_EQ(KeyOfItem(continuation).batch, 0u);
  EXPECT_EQ(first().continuation_done, 1u);
  bench.Work();
  EXPECT_EQ(first().initial_done, 4u);
  EXPECT_EQ(first().graded, 2u);
  EXPECT_EQ(first().continuation_done, first().continuation_total);
  EXPECT_EQ(first().phase, "ready");
  ASSERT_TRUE(bench.Batch(0).has_value());
  EXPECT_EQ(first().phase, "training");
}

TEST_F(RunWork, CountsTokensAndWhoSampledThem) {
  uint64_t generated = 0, reused = 0, prefill = 0;
  EXPECT_THAT(bench.run().Workers(), IsEmpty());
  while (!bench.open.empty() || !bench.ungraded.empty()) {
    if (!bench.open.empty()) {
      const ItemResult result = bench.ResultOf(bench.open.begin()->first);
      for (const SampleResult& sample : result.samples) generated += sample.token_ids.size();
      reused += result.reused_tokens;
      prefill += result.prefill_tokens;
      bench.SampleOne();
    }
    bench.GradeOne();
  }
  EXPECT_EQ(bench.run().counters().generated_tokens, generated);
  EXPECT_EQ(bench.run().counters().reused_tokens, reused);
  EXPECT_EQ(bench.run().counters().prefill_tokens, prefill);
  EXPECT_THAT(bench.run().Workers(), ElementsAre("w"));
}

TEST_F(RunWork, AnUngradableInitialResponseEndsItsProblemWithoutContinuations) {
  const ItemId cursed = bench.open.begin()->first;
  bench.SampleOne();
  bench.ungraded.clear();
  ASSERT_EQ(bench.InTransaction([&] {
    return bench.run().AddGrades({cursed, {{verifier::GradeStatus::kTimeout}}, {1, 2}});
  }),
            absl::OkStatus());
  bench.SampleOne();
  bench.GradeOne();
  EXPECT_EQ(bench.run().counters().ungradable_problems, 1u);
  EXPECT_EQ(bench.run().Batches().front().graded, 1u);
  EXPECT_EQ(bench.run().Batches().front().continuation_total, 0u);
}

TEST_F(RunWork, AnUngradableContinuationDropsItsProblemOnceAllAreGraded) {
  const ItemId id = FirstContinuation();
  while (bench.GradeOne()) {
  }
  bench.SampleOne();
  const std::vector<Grade> grades = {{verifier::GradeStatus::kGraded, true},
                                     {verifier::GradeStatus::kCrash},
                                     {verifier::GradeStatus::kGraded, true},
                                     {verifier::GradeStatus::kNoAnswer}};
  bench.ungraded.clear();
  ASSERT_EQ(bench.InTransaction([&] {
    return bench.run().AddGrades({id, grades, {1, 2}});
  }),
            absl::OkStatus());
  bench.Work();
  EXPECT_EQ(bench.run().counters().ungradable_problems, 1u);
  const TrainingBatch batch = bench.Batch(0).value_or(TrainingBatch{});
  for (const TrainingSample& sample : batch.samples) {
    EXPECT_NE(sample.position, KeyOfItem(id).position);
  }
  ASSERT_TRUE(bench.Commit(CommitOf(0, Digest(1))).ok());
  EXPECT_EQ(bench.run().trees().problems.at(Kept::kUngradable), 1u);
}

// ---- what a commit leaves

TEST_F(RunWork, ACommitLeavesItsRowItsLinesAndItsFacts) {
  bench.clock.Advance(absl::Seconds(100));
  bench.Work();
  const TrainingBatch made = bench.Batch(0).value_or(TrainingBatch{});
  ASSERT_FALSE(made.samples.empty());
  const size_t before = Lines(kEventsFile).size();
  BatchCommit commit = CommitOf(0, Digest(1));
  commit.statistics.train = Span{200, 210};
  commit.statistics.sync = Span{210, 211};
  commit.statistics.checkpoint = Span{211, 214};
  ASSERT_TRUE(bench.Commit(commit).ok());

  const auto rows = *bench.store().Commits();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].batch, 0u);
  EXPECT_FALSE(rows[0].empty);
  EXPECT_EQ(rows[0].problems, 2u);
  EXPECT_EQ(rows[0].valid, made.samples.size());
  EXPECT_EQ(rows[0].train, (Span{200, 210}));
  EXPECT_EQ(rows[0].time, UnixSeconds(bench.clock.Now()));
  EXPECT_EQ(rows[0].metrics, bench.run().last_metrics());
  EXPECT_THAT(Lines(kMetricsFile), ElementsAre(Json::parse(rows[0].metrics)));
  EXPECT_EQ(Lines(kMetricsFile)[0]["seconds"]["step"], 100.0) << "since the start";

  std::vector<std::string> events;
  for (const Json& line : Lines(kEventsFile, before)) {
    events.push_back(absl::StrCat(line["kind"].get<std::string>(), " ", line["version"].dump(), " ",
                                  line["start"].dump(), " ", line["item"].dump()));
  }
  EXPECT_THAT(events,
              ElementsAre("train 0 200.0 null", "sync 1 210.0 null", "checkpoint 1 211.0 null"));

  bench.clock.Advance(absl::Seconds(7));
  bench.TrainTo(2);
  EXPECT_EQ(Lines(kMetricsFile)[1]["seconds"]["step"], 7.0) << "since the step before";
}

TEST_F(RunWork, EveryResultAndGradeLeavesALine) {
  const ItemId initial = bench.open.begin()->first;
  const ItemId continuation = FirstContinuation();
  bench.Work();
  std::vector<std::string> kinds;
  for (const Json& line : Lines(kEventsFile)) {
    if (line["item"] != Number(initial) && line["item"] != Number(continuation)) continue;
    kinds.push_back(absl::StrCat(line["kind"].get<std::string>(), " of ", line["batch"].dump(),
                                 " by ", line["worker"].dump()));
  }
  EXPECT_THAT(kinds, ElementsAre("initial of 0 by \"w\"", "grade of 0 by null",
                                 "continuation of 0 by \"w\"", "grade of 0 by null"));
}

TEST_F(RunWork, TheOverlapCountsOnlySamplingThatMayStillMeetATrainingStep) {
  EXPECT_EQ(OverlapAfter(0, {0, 5}), 1.0) << "all sampling so far";
  EXPECT_EQ(OverlapAfter(1, {10, 15}), 1.0) << "that of batch 0 is past";
  EXPECT_EQ(OverlapAfter(2, {25, 30}), 0.0) << "it had ended before the step";
  EXPECT_EQ(OverlapAfter(3, {30.25, 30.3}), 1.0) << "the step is the shorter one";
}

TEST_F(RunWork, TheOverlapCountsAgainAfterAWallClockThatIsSetBack) {
  OverlapAfter(0, {3600, 3605});
  OverlapAfter(1, {10.25, 10.3});
  EXPECT_EQ(OverlapAfter(2, {20.25, 20.3}), 1.0);
}

TEST_F(RunWork, TreeFactsAddUpOverCommits) {
  std::map<std::string, uint64_t> points;
  std::map<std::string, uint64_t> kept;
  uint64_t expanded = 0, unexpanded = 0, leaves = 0;
  for (uint32_t batch = 0; batch < 3; ++batch) {
    EXPECT_EQ(bench.AnnounceVersion(batch), absl::OkStatus());
    bench.Work();
    const auto trees = bench.run().TreesToWrite(batch);
    ASSERT_TRUE(trees.has_value());
    EXPECT_EQ(trees->versions.initial.digest, Digest(batch < 2 ? 0 : batch - 2));
    EXPECT_EQ(trees->versions.continuation.digest, Digest(batch < 1 ? 0 : batch - 1));
    for (const Problem& problem : trees->batch.problems) {
      for (const Response& response : problem.responses) {
        ++(response.expansion.points.empty() ? unexpanded : expanded);
        leaves += 1 + response.expansion.points.size() * bench.options.branching.children;
        for (const std::string& origin : response.expansion.origins) ++points[origin];
      }
    }
    for (const ProblemOutcome& outcome : JudgeAll(bench.options, trees->batch)) {
      ++kept[std::string(KeptName(outcome.kept))];
    }
    ASSERT_TRUE(bench.Commit(CommitOf(batch, Digest(batch + 1))).ok());
  }
  const Run::TreeFacts& facts = bench.run().trees();
  EXPECT_EQ(facts.expanded, expanded);
  EXPECT_EQ(facts.unexpanded, unexpanded);
  EXPECT_GT(expanded, 0u);
  EXPECT_GT(unexpanded, 0u);
  EXPECT_EQ(facts.points, points);
  std::map<std::string, uint64_t> problems;
  for (const auto& [word, count] : facts.problems) problems[std::string(KeptName(word))] = count;
  EXPECT_EQ(problems, kept);
  EXPECT_EQ(facts.last.problems, 2u);
  EXPECT_EQ(facts.verdicts[Verdict::kCorrect] + facts.verdicts[Verdict::kIncorrect], leaves);
  EXPECT_EQ(facts.verdicts.total(), leaves);
}

}  // namespace
}  // namespace attnrl::scheduler::testing
