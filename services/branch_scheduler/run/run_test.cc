// SPDX-License-Identifier: Apache-2.0
// The learner's side of a run: commits, replays, segments, empty batches, grading that fails.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/branch_scheduler/testing/simulation.h"

namespace attnrl::scheduler::testing {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

TEST(Run, CommitIsIdempotentByBatchAndDigest) {
  Simulation run(SimulationOptions{});
  ASSERT_TRUE(run.Start().ok());
  while (run.version < 2) run.Tick();
  Scheduler& scheduler = run.scheduler();
  EXPECT_TRUE(scheduler.Commit(CommitOf(1, Digest(2))).ok());
  EXPECT_EQ(run.Lines("metrics.jsonl").size(), 2u);
  EXPECT_EQ(scheduler.Commit(CommitOf(1, "other")).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(scheduler.Commit(CommitOf(1, "other", /*replayed=*/true)).ok());
  EXPECT_EQ(scheduler.Commit(CommitOf(7, Digest(8))).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(scheduler.Status().newest_version.digest, Digest(2)) << "published bits stay";
}

TEST(Run, WeightsThatDontFitTheScheduleAreRefused) {
  Simulation run(SimulationOptions{});
  ASSERT_TRUE(run.Start().ok());
  while (run.version < 2) run.Tick();
  Scheduler& scheduler = run.scheduler();
  auto code = [&](const BatchRequest& request) { return scheduler.Announce(request).code(); };
  BatchRequest other = RequestOf(2, 2);
  other.version.digest = "other";
  EXPECT_EQ(code(other), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(code(RequestOf(2, 3)), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(code(RequestOf(4, 4)), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(code(RequestOf(3, 2, /*replay=*/true)), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(scheduler.Announce(RequestOf(2, 2)).ok());
  std::string reason;
  EXPECT_EQ(scheduler.AwaitBatch({.batch = 3}, absl::ZeroDuration(), &reason).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(scheduler.AwaitBatch({.batch = 99}, absl::ZeroDuration(), &reason).status().code(),
            absl::StatusCode::kOutOfRange);
}

TEST(Run, BatchesAfterTheCheckpointBeforeTheNewestCanBeReplayedBitForBit) {
  SimulationOptions options;
  options.steps = 8;
  options.checkpoint_every = 2;
  options.criterion = tree::Criterion::kEarliest;
  Simulation run(options);
  ASSERT_TRUE(run.Start().ok());
  while (run.version < 7) run.Tick();
  run.Kill();
  ASSERT_TRUE(run.Start().ok());
  std::string reason;
  ASSERT_TRUE(run.scheduler().Announce(RequestOf(6, 7, /*replay=*/true)).ok());
  for (uint32_t b = 4; b < 7; ++b) {  // checkpoints at 4 and 6: the newest may be damaged
    auto batch = run.scheduler().AwaitBatch({.batch = b}, absl::ZeroDuration(), &reason);
    ASSERT_TRUE(batch.ok()) << batch.status();
    ASSERT_TRUE(batch->has_value());
    EXPECT_EQ(**batch, run.batches().at(b));
  }
  auto forgotten = run.scheduler().AwaitBatch({.batch = 3}, absl::ZeroDuration(), &reason);
  EXPECT_TRUE(IsInputError(forgotten.status())) << "else the learner would be started again";
  EXPECT_THAT(forgotten.status().ToString(), HasSubstr("forgotten"));
  EXPECT_EQ(run.Lines("metrics.jsonl").size(), 7u);
  ASSERT_TRUE(run.RunToEnd());
}

// The learner made W(b+1) durable and was killed before it could commit batch b.
TEST(Run, AVersionPublishedBeforeItsCommitIsAccepted) {
  Simulation run(SimulationOptions{});
  ASSERT_TRUE(run.Start().ok());
  while (run.version < 2) run.Tick();
  while (run.scheduler().Status().batches[0].phase == "sampling") {
    run.learner_absent = true;
    run.Tick();
  }
  ASSERT_TRUE(run.scheduler().Announce(RequestOf(2, 3, /*replay=*/true)).ok());
  EXPECT_TRUE(run.scheduler().Commit(CommitOf(2, "replayed differently", true)).ok());
  EXPECT_EQ(run.scheduler().Status().newest_version, (Version{3, Digest(3)}));
  EXPECT_EQ(run.scheduler().Status().steps_done, 3u);
  EXPECT_EQ(run.Lines("metrics.jsonl").size(), 3u);
  run.version = 3;
  run.learner_absent = false;
  ASSERT_TRUE(run.RunToEnd());
}

TEST(Run, ARunThatEndedAndIsExtendedStartsASegmentAtItsEnd) {
  SimulationOptions options;
  options.steps = 4;
  options.criterion = tree::Criterion::kEarliest;
  Simulation run(options);
  ASSERT_TRUE(run.Start().ok());
  ASSERT_TRUE(run.RunToEnd());
  run.Kill();
  run.options().steps = 7;
  ASSERT_TRUE(run.Start().ok());
  ASSERT_TRUE(run.RunToEnd());
  for (uint32_t b = 4; b < 7; ++b) {
    EXPECT_EQ(run.batches().at(b).base, 4u);
    const Json row = Json::parse(run.Lines(absl::StrCat("trees/batch-", b, ".jsonl"))[0]);
    EXPECT_EQ(row["responses"][0]["version"], std::max(4u, b - 2));
  }
  EXPECT_TRUE(run.batches().at(6).last);
  ASSERT_EQ(run.Lines("metrics.jsonl").size(), 7u);
}

TEST(Run, ARunThatHadNotEndedGoesOnInItsSegment) {
  SimulationOptions options;
  options.steps = 4;
  Simulation run(options);
  ASSERT_TRUE(run.Start().ok());
  while (run.version < 3) run.Tick();
  run.Kill();
  run.options().steps = 7;
  ASSERT_TRUE(run.Start().ok());
  ASSERT_TRUE(run.RunToEnd());
  for (const auto& [number, batch] : run.batches()) EXPECT_EQ(batch.base, 0u) << number;
}

TEST(Run, AnExtensionWithoutACheckpointAtTheEndGoesOnInItsSegment) {
  SimulationOptions options;
  options.steps = 3;
  Simulation run(options);
  ASSERT_TRUE(run.Start().ok());
  ASSERT_TRUE(run.RunToEnd());
  run.Kill();
  run.options().steps = 5;
  run.checkpoint = 2;
  ASSERT_TRUE(run.Start().ok());
  ASSERT_TRUE(run.RunToEnd());
  EXPECT_EQ(run.batches().at(4).base, 0u);
}

TEST(Run, ASmallerNumberOfStepsEndsTheRun) {
  SimulationOptions options;
  options.steps = 6;
  Simulation run(options);
  ASSERT_TRUE(run.Start().ok());
  while (run.version < 3) run.Tick();
  run.Kill();
  run.options().steps = 3;
  ASSERT_TRUE(run.Start().ok());
  EXPECT_EQ(run.scheduler().Status().state, RunState::kFinished);
  EXPECT_EQ(run.scheduler().Status().open_items, 0u);
}

TEST(Run, OtherSettingsAreRefusedByName) {
  Simulation run(SimulationOptions{});
  ASSERT_TRUE(run.Start().ok());
  run.Kill();
  run.options().fingerprint["run.seed"] = "8";
  const absl::Status status = run.Start();
  EXPECT_TRUE(IsInputError(status));
  EXPECT_THAT(status.ToString(), HasSubstr("run.seed"));
}

TEST(Run, ASecondSchedulerOnTheSameDatabaseIsRefused) {
  Simulation first(SimulationOptions{});
  ASSERT_TRUE(first.Start().ok());
  Simulation second(first.folder(), {});
  const absl::Status status = second.Start();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(status.ToString(), HasSubstr("in use"));
}

TEST(Run, EmptyBatchesAreSkippedAndTooManyInARowPauseIt) {
  SimulationOptions options;
  options.steps = 9;
  options.all_correct = true;
  options.max_empty_batches = 3;
  Simulation run(options);
  ASSERT_TRUE(run.Start().ok());
  ASSERT_FALSE(run.RunToEnd(100));
  EXPECT_EQ(run.scheduler().Status().state, RunState::kPaused);
  EXPECT_THAT(run.scheduler().Status().reason, HasSubstr("3 batches in a row"));
  ASSERT_GE(run.batches().size(), 3u);
  EXPECT_TRUE(run.batches().at(0).samples.empty());
  const Json line = Json::parse(run.Lines("metrics.jsonl")[0]);
  EXPECT_EQ(line["valid_samples"], 0);
  EXPECT_TRUE(line["loss"].is_null());
  EXPECT_TRUE(line["overlap"].is_null());
  EXPECT_EQ(line["initial_accuracy"], 1.0);
  run.Kill();  // a restart changes nothing about it
  ASSERT_TRUE(run.Start().ok());
  EXPECT_EQ(run.scheduler().Status().state, RunState::kPaused);
  EXPECT_THAT(run.scheduler().Status().reason, HasSubstr(" batches in a row had no sample"));
}

TEST(Run, ACrashOfTheGraderIsNoRewardAndDropsTheProblemAfterThreeTries) {
  SimulationOptions options;
  options.steps = 2;
  Simulation run(options);
  std::map<std::string, int> tries;
  run.grade = [&](const verifier::GradeRequest& request) {
    verifier::GradeResult result;
    result.id = request.id;
    const int attempt = ++tries[request.id];
    const bool cursed = absl::StartsWith(request.id, absl::StrCat(IdOf({0, 1, 2, {}}), "/"));
    const bool shaky = absl::StartsWith(request.id, absl::StrCat(IdOf({0, 0, 0, {}}), "/"));
    result.correct = request.response.ends_with("=1.");
    if (cursed || (shaky && attempt < 3)) {
      result.status = cursed ? verifier::GradeStatus::kCrash : verifier::GradeStatus::kTimeout;
      result.correct = true;  // even so, never a reward
    } else {
      result.status = verifier::GradeStatus::kGraded;
    }
    return result;
  };
  ASSERT_TRUE(run.Start().ok());
  ASSERT_TRUE(run.RunToEnd());
  EXPECT_EQ(tries[absl::StrCat(IdOf({0, 1, 2, {}}), "/0")], 3);
  const auto rows = run.Lines("trees/batch-0.jsonl");
  EXPECT_EQ(Json::parse(rows[1])["kept"], "ungradable");
  EXPECT_EQ(Json::parse(rows[1])["responses"][2]["verdict"], "crash");
  EXPECT_TRUE(Json::parse(rows[1])["responses"][2]["reward"].is_null());
  EXPECT_NE(Json::parse(rows[0])["kept"], "ungradable") << "the third try was a verdict";
  EXPECT_EQ(Json::parse(run.Lines("metrics.jsonl")[0])["verdicts"]["crash"], 1);
  EXPECT_EQ(Json::parse(run.Lines("metrics.jsonl")[0])["verdicts"]["timeout"], 0)
      << "only the last try counts";
  for (const TrainingSample& sample : run.batches().at(0).samples) EXPECT_NE(sample.position, 1u);
  EXPECT_EQ(run.scheduler().run_counters().ungradable_problems, 1u);
}

TEST(Run, AVerifierThatIsAwayIsWaitedFor) {
  Simulation run(SimulationOptions{});
  ASSERT_TRUE(run.Start().ok());
  run.verifier().FailCalls(1, absl::UnavailableError("no verifier"));
  for (int i = 0; i < 2; ++i) run.Tick();
  EXPECT_TRUE(run.RunToEnd());
}

TEST(Run, DrainTakesBackWhatIsNotFinishedInTime) {
  Simulation run(SimulationOptions{});
  ASSERT_TRUE(run.Start().ok());
  for (auto& worker : run.workers()) worker.silent = true;
  for (int i = 0; i < 3; ++i) run.Tick();
  ASSERT_GT(run.scheduler().Status().active_leases, 0u);
  auto drained = run.scheduler().Drain(absl::ZeroDuration());
  ASSERT_TRUE(drained.ok());
  EXPECT_EQ(*drained, 10u);
  EXPECT_EQ(run.scheduler().Status().active_leases, 0u);
  EXPECT_EQ(run.scheduler().Status().state, RunState::kDraining);
  Register hello;
  hello.worker = "late";
  EXPECT_TRUE(absl::IsUnavailable(run.scheduler().Connect(hello).status()));
}

TEST(Run, EveryKeyOfTheMetricsIsAlwaysThere) {
  SimulationOptions options;
  options.criterion = tree::Criterion::kEarliest;
  options.steps = 3;
  Simulation run(options);
  ASSERT_TRUE(run.Start().ok());
  ASSERT_TRUE(run.RunToEnd());
  const std::set<std::string> keys = {"step",
                                      "weight_version",
                                      "reward_mean",
                                      "initial_accuracy",
                                      "problems",
                                      "valid_samples",
                                      "valid_ratio",
                                      "leaves",
                                      "verdicts",
                                      "generated_tokens",
                                      "prefix_tokens_reused",
                                      "trained_tokens",
                                      "trained_tokens_unpacked",
                                      "lag_initial",
                                      "lag_continuation",
                                      "loss",
                                      "kl",
                                      "entropy",
                                      "ratio_max",
                                      "clip_low",
                                      "clip_high",
                                      "importance_mean",
                                      "importance_max",
                                      "importance_truncated",
                                      "effective_samples",
                                      "behaviour_k1",
                                      "behaviour_k3",
                                      "grad_norm",
                                      "learning_rate",
                                      "response_tokens_mean",
                                      "truncated_ratio",
                                      "fci_mean",
                                      "branch_gain",
                                      "initial_gain",
                                      "continuation_tokens_mean",
                                      "seconds",
                                      "overlap"};
  for (const std::string& text : run.Lines("metrics.jsonl")) {
    const Json line = Json::parse(text);
    for (const std::string& key : keys) EXPECT_TRUE(line.contains(key)) << key;
    for (const char* key : {"step", "rollout", "verify", "learn", "wait", "sync"}) {
      EXPECT_TRUE(line["seconds"].contains(key)) << key;
    }
    EXPECT_GT(line["leaves"].get<int>(), 12);
    EXPECT_FALSE(line["branch_gain"].is_null());
  }
}

}  // namespace
}  // namespace attnrl::scheduler::testing
