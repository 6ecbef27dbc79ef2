// SPDX-License-Identifier: Apache-2.0
// What a run refuses, with which code and which words, and that nothing has changed then.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/branch_scheduler/item_id.h"
#include "services/branch_scheduler/testing/run_bench.h"

namespace attnrl::scheduler::testing {
namespace {

using absl::StatusCode;
using ::testing::HasSubstr;

SimulationOptions Trees() {
  SimulationOptions sizes;
  sizes.criterion = tree::Criterion::kFci;
  return sizes;
}

void ExpectStatus(const absl::Status& status, StatusCode code, const std::string& message) {
  EXPECT_EQ(status.code(), code);
  EXPECT_EQ(std::string(status.message()), message);
}

// The status of the learner's announcement, and that it changed nothing.
void ExpectRefused(RunBench& bench, const BatchRequest& request, StatusCode code,
                   const std::string& message) {
  const auto newest = bench.run().newest_version();
  const size_t open = bench.open.size();
  ExpectStatus(bench.Announce(request), code, message);
  EXPECT_EQ(bench.run().newest_version(), newest);
  EXPECT_EQ(bench.open.size(), open);
}

TEST(RunRefuses, AnAnnouncementThatDoesntFitItsBatch) {
  RunBench bench({});
  ASSERT_EQ(bench.Open(), absl::OkStatus());
  ExpectRefused(bench, RequestOf(1, 0), StatusCode::kFailedPrecondition,
                "batch 1 is trained from W(1), the learner has W(0)");
  ExpectRefused(bench, RequestOf(1, 0, /*replay=*/true), StatusCode::kFailedPrecondition,
                "batch 1 can't be replayed to reach W(0)");
  BatchRequest empty = RequestOf(0, 0);
  empty.version.digest.clear();
  ExpectRefused(bench, empty, StatusCode::kInvalidArgument, "W(0) has no digest");
  ExpectRefused(bench, RequestOf(1, 1), StatusCode::kFailedPrecondition,
                "the learner has published W(1), the next one of this run is W(0) with 0 batches "
                "committed");
  EXPECT_FALSE(bench.run().started());
  ASSERT_EQ(bench.AnnounceVersion(0), absl::OkStatus());
  EXPECT_TRUE(bench.run().started());
  BatchRequest other = RequestOf(0, 0);
  other.version.digest = "another-digest-of-0";
  ExpectRefused(bench, other, StatusCode::kFailedPrecondition,
                "W(0) was published with digest digest-of-0, the learner has another-dige");
  ASSERT_EQ(bench.AnnounceVersion(0), absl::OkStatus()) << "again is no mistake";
}

TEST(RunRefuses, VersionsBeyondTheOneThatTheNextBatchMakes) {
  RunBench bench({});
  ASSERT_EQ(bench.Open(), absl::OkStatus());
  ASSERT_EQ(bench.AnnounceVersion(0), absl::OkStatus());
  ExpectRefused(bench, RequestOf(0, 2, /*replay=*/true), StatusCode::kFailedPrecondition,
                "the learner has published W(2), the next one of this run is W(1) with 0 batches "
                "committed");
  ASSERT_EQ(bench.Announce(RequestOf(0, 1, /*replay=*/true)), absl::OkStatus())
      << "it was killed between publishing W(1) and committing batch 0";
  ExpectRefused(bench, RequestOf(0, 2, /*replay=*/true), StatusCode::kFailedPrecondition,
                "the learner has published W(2), the next one of this run is W(2) with 0 batches "
                "committed");
}

TEST(RunRefuses, BatchesThatAreNotTheLearnersTurn) {
  RunBench bench(SimulationOptions{.steps = 6});
  ASSERT_EQ(bench.Open(), absl::OkStatus());
  const auto status = [&](uint32_t number) { return bench.run().Batch(number, nullptr).status(); };
  ExpectStatus(status(6), StatusCode::kOutOfRange, "the run ends before batch 6: it has 6 steps");
  ExpectStatus(status(1), StatusCode::kFailedPrecondition,
               "batch 1 was asked for before batch 0 was committed");
  bench.TrainTo(5);  // checkpoints at 2 and 4
  ExpectStatus(status(1), StatusCode::kInvalidArgument,
               "batch 1 is forgotten: a checkpoint of step 2 or later is needed to go on; put a "
               "good copy of one into checkpoints/ as step-N (damaged ones are set aside there as "
               "damaged-step-N), or start another run");
  EXPECT_TRUE(bench.Batch(2).has_value()) << "from the checkpoint before the newest on";
  ExpectStatus(status(6), StatusCode::kOutOfRange, "the run ends before batch 6: it has 6 steps");
}

TEST(Run, CanGoOnFromEveryCheckpointThatIsKept) {
  RunBench bench(SimulationOptions{.steps = 10});
  bench.options.checkpoints_kept = 3;
  ASSERT_EQ(bench.Open(), absl::OkStatus());
  bench.TrainTo(9);  // checkpoints at 2, 4, 6 and 8
  EXPECT_TRUE(IsInputError(bench.run().Batch(3, nullptr).status()));
  EXPECT_TRUE(bench.Batch(4).has_value());
}

TEST(Run, SaysWhatABatchStillWaitsFor) {
  RunBench bench(SimulationOptions{.problems = 2, .responses = 2});
  ASSERT_EQ(bench.Open(), absl::OkStatus());
  EXPECT_FALSE(bench.Batch(0).has_value());
  EXPECT_EQ(bench.reason, "batch 0: waits for W(0)");
  ASSERT_EQ(bench.AnnounceVersion(0), absl::OkStatus());
  for (int i = 0; i < 3; ++i) bench.SampleOne();
  for (int i = 0; i < 2; ++i) bench.GradeOne();
  EXPECT_FALSE(bench.Batch(0).has_value());
  EXPECT_EQ(bench.reason, "batch 0: 1 of 2 problems graded, 3 of 4 initial responses sampled");
  bench.Work();
  EXPECT_TRUE(bench.Batch(0).has_value());
}

TEST(RunRefuses, CommitsThatDontFit) {
  RunBench bench({});
  ASSERT_EQ(bench.Open(), absl::OkStatus());
  ASSERT_EQ(bench.AnnounceVersion(0), absl::OkStatus());
  const auto status = [&](const BatchCommit& commit) { return bench.Commit(commit).status(); };
  BatchCommit other = CommitOf(0, Digest(1));
  other.version.number = 2;
  ExpectStatus(status(other), StatusCode::kInvalidArgument,
               "batch 0 makes W(1) with a digest, not W(2) with 'digest-of-1'");
  ExpectStatus(status(CommitOf(0, "")), StatusCode::kInvalidArgument,
               "batch 0 makes W(1) with a digest, not W(1) with ''");
  ExpectStatus(
      status(CommitOf(0, Digest(1))), StatusCode::kFailedPrecondition,
      "batch 0 can't be committed: 0 batches are committed, and this one was not handed out");
  bench.Work();
  ExpectStatus(
      status(CommitOf(1, Digest(2))), StatusCode::kFailedPrecondition,
      "batch 1 can't be committed: 0 batches are committed, and this one was not handed out");
  EXPECT_FALSE(bench.run().TreesToWrite(1).has_value()) << "nor would its trees be written";
  EXPECT_EQ(bench.run().committed(), 0u);
  EXPECT_TRUE(bench.run().TreesToWrite(0).has_value());
  ASSERT_TRUE(bench.Commit(CommitOf(0, Digest(1))).ok());
  EXPECT_FALSE(bench.run().TreesToWrite(0).has_value()) << "they are written";
  ExpectStatus(status(CommitOf(0, "another-digest")), StatusCode::kFailedPrecondition,
               "batch 0 was committed with digest digest-of-1, now with another-dige");
  EXPECT_TRUE(bench.Commit(CommitOf(0, "another-digest", /*replayed=*/true)).ok());
  EXPECT_EQ(bench.run().newest_version(), (Version{1, Digest(1)})) << "published bits stay";
}

TEST(RunRefuses, ACommitWhoseVersionWasPublishedWithOtherBits) {
  RunBench bench({});
  ASSERT_EQ(bench.Open(), absl::OkStatus());
  ASSERT_EQ(bench.AnnounceVersion(0), absl::OkStatus());
  ASSERT_EQ(bench.Announce(RequestOf(0, 1, /*replay=*/true)), absl::OkStatus());
  bench.Work();
  ExpectStatus(bench.Commit(CommitOf(0, "other")).status(), StatusCode::kFailedPrecondition,
               "W(1) was published with digest digest-of-1, the learner has other");
  EXPECT_EQ(bench.run().committed(), 0u);
  ASSERT_TRUE(bench.Commit(CommitOf(0, "other", /*replayed=*/true)).ok());
  EXPECT_EQ(bench.run().committed(), 1u);
  EXPECT_EQ(bench.run().newest_version(), (Version{1, Digest(1)}));
}

// ---- results

// What is refused of a result whose item is known: admission_test.cc.
TEST(RunRefuses, ResultsOfItemsThatItDoesntHave) {
  RunBench bench({});
  ASSERT_EQ(bench.Open(), absl::OkStatus());
  ASSERT_EQ(bench.AnnounceVersion(0), absl::OkStatus());
  ItemResult result = bench.ResultOf(IdOf({0, 0, 0, ItemKind::kInitial}));
  EXPECT_EQ(bench.run().Admit(result).status(), absl::OkStatus());
  for (const ItemKey& key : {ItemKey{99, 0, 0, {}}, ItemKey{0, 3, 0, {}}, ItemKey{0, 0, 4, {}}}) {
    result.item = IdOf(key);
    ExpectStatus(bench.run().Admit(result).status(), StatusCode::kInvalidArgument,
                 absl::StrCat("item ", Number(result.item),
                              ": not one of this run's batches; an item that was leased"));
  }
}

TEST(RunRefuses, ResultsWithTokensThatTheModelDoesntHave) {
  RunBench bench(Trees());
  bench.options.vocabulary = 200;
  ASSERT_EQ(bench.Open(), absl::OkStatus());
  ASSERT_EQ(bench.AnnounceVersion(0), absl::OkStatus());
  ItemResult result = bench.ResultOf(IdOf({0, 0, 1, ItemKind::kInitial}));
  EXPECT_EQ(bench.run().Admit(result).status(), absl::OkStatus());
  result.samples[0].token_ids[0] = 200;
  EXPECT_THAT(std::string(bench.run().Admit(result).status().message()),
              HasSubstr("node 1, token 0: id 200; 0 to 199 is allowed"));
}

TEST(RunRefuses, ASecondResultAndGradesThatBelongToNothing) {
  RunBench bench({});
  ASSERT_EQ(bench.Open(), absl::OkStatus());
  ASSERT_EQ(bench.AnnounceVersion(0), absl::OkStatus());
  const ItemId item = bench.open.begin()->first;
  const ItemResult result = bench.ResultOf(item);
  const auto admitted = bench.run().Admit(result);
  ASSERT_TRUE(admitted.ok());
  ASSERT_TRUE(bench.SampleOne());
  ExpectStatus(bench.InTransaction([&] { return bench.run().AddResult("w", *admitted); }),
               StatusCode::kInternal, "an item got a second result");
  const auto grade = [&](ItemId id, size_t count) {
    return bench.InTransaction([&] {
      return bench.run().AddGrades({id, std::vector<Grade>(count), Span{1, 2}});
    });
  };
  EXPECT_THAT(std::string(grade(IdOf({9, 0, 0, {}}), 1).message()), HasSubstr("which is not open"));
  EXPECT_THAT(std::string(grade(IdOf({0, 3, 0, {}}), 1).message()), HasSubstr("which is not open"));
  ExpectStatus(grade(item, 2), StatusCode::kInternal, "2 grades for 1 samples");
  ASSERT_TRUE(bench.GradeOne());
  const size_t lines = bench.store().LinesAfter("events.jsonl", 0)->size();
  EXPECT_EQ(lines, 2u) << "the result, its grade";
  EXPECT_EQ(grade(item, 1), absl::OkStatus()) << "a second answer of the verifier";
  EXPECT_EQ(grade(IdOf({0, 0, 1, {}}), 1), absl::OkStatus()) << "nothing was sampled there yet";
  EXPECT_EQ(bench.store().LinesAfter("events.jsonl", 0)->size(), lines) << "changes nothing";
}

// ---- databases

struct Damage {
  const char* message;
  std::function<absl::Status(Store&)> make;
};

TEST(RunRefuses, ADatabaseThatContradictsItself) {
  const std::vector<Damage> cases = {
      {"the database's epoch is no number",
       [](Store& store) { return store.Put("epoch", "three"); }},
      {"the database's steps is no number", [](Store& store) { return store.Put("steps", "-1"); }},
      {"the database's fingerprint is damaged",
       [](Store& store) { return store.Put("fingerprint", "{"); }},
      {"the database lacks the commit of batch 1",
       [](Store& store) { return store.PutCommit({.batch = 2}); }},
      {"the database has a result for item 8589946880, which batch 1 doesn't have",
       [](Store& store) {
         return store.PutResult({.item = IdOf({1, 3, 0, {}})});
       }},
      {"the database has a result for item 8589934600, which batch 1 doesn't have",
       [](Store& store) {
         return store.PutResult({.item = IdOf({1, 0, 4, {}})});
       }},
  };
  for (const Damage& damage : cases) {
    SCOPED_TRACE(damage.message);
    RunBench bench({});
    ASSERT_EQ(bench.Open(), absl::OkStatus());
    bench.TrainTo(1);
    // What Work sampled of batch 1 makes room for the case.
    ASSERT_EQ(bench.InTransaction([&] { return bench.store().ForgetResultsBefore(9); }),
              absl::OkStatus());
    ASSERT_EQ(bench.InTransaction([&] { return damage.make(bench.store()); }), absl::OkStatus());
    const absl::Status status = bench.Open();
    ExpectStatus(status, StatusCode::kDataLoss, damage.message);
  }
}

TEST(RunRefuses, ToReplayABatchThatTheDatabaseHasLost) {
  RunBench bench({});
  ASSERT_EQ(bench.Open(), absl::OkStatus());
  bench.TrainTo(2);
  ASSERT_EQ(bench.InTransaction([&] { return bench.store().ForgetResultsBefore(2); }),
            absl::OkStatus());
  ExpectStatus(bench.run().Batch(1, nullptr).status(), StatusCode::kDataLoss,
               "the database lacks results of batch 1");
  ASSERT_EQ(bench.InTransaction([&] { return bench.store().DeleteBatchesFrom(1); }),
            absl::OkStatus());
  ExpectStatus(bench.run().Batch(1, nullptr).status(), StatusCode::kDataLoss,
               "the database lacks batch 1");
}

TEST(RunRefuses, SettingsThatCantBeAndAnEmptyDataSet) {
  RunBench bench({});
  bench.options.steps = 0;
  ExpectStatus(bench.Open(), StatusCode::kInvalidArgument,
               "run.steps: 0 is out of range; 1 to 1073741824 is allowed");
  bench.options.steps = 5;
  bench.data.parts = {{0, bench.data.problems.size()}, {bench.data.problems.size(), 0}};
  ExpectStatus(bench.Open(), StatusCode::kInvalidArgument,
               "data.train: the data set is empty; at least one problem is needed");
  bench.data.parts.clear();
  bench.data.problems.clear();
  ExpectStatus(bench.Open(), StatusCode::kInvalidArgument,
               "data.train: the data set is empty; at least one problem is needed");
}

TEST(RunRefuses, OtherSettingsNamingEachOfThem) {
  RunBench bench({});
  bench.options.fingerprint = {{"a", "1"}, {"b", "2"}, {"c", "3"}};
  ASSERT_EQ(bench.Open(), absl::OkStatus());
  ASSERT_EQ(bench.Open(), absl::OkStatus()) << "the same ones are no mistake";
  bench.options.fingerprint = {{"a", "1"}, {"b", "x"}, {"d", "4"}};
  ExpectStatus(
      bench.Open(), StatusCode::kInvalidArgument,
      bench.options.store.path +
          ": holds a run with other settings: b, d; resume with the run's own settings, or "
          "use another run directory");
}

TEST(RunRefuses, WithoutLeavingATransactionOpen) {
  RunBench bench({});
  ASSERT_EQ(bench.Open(), absl::OkStatus());
  SchedulerOptions other = bench.options;
  other.fingerprint = {{"run.seed", "8"}};
  const auto open = [&](const SchedulerOptions& options) {
    return Run::Open({&options, &bench.data, &bench.text, &bench.store(), &bench.clock}).status();
  };
  EXPECT_EQ(open(other).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(open(bench.options), absl::OkStatus());
}

}  // namespace
}  // namespace attnrl::scheduler::testing
