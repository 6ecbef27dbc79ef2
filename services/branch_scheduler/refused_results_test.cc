// SPDX-License-Identifier: Apache-2.0
// What becomes of workers whose results are refused, of the items, and of statistics.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "services/branch_scheduler/testing/simulation.h"

namespace attnrl::scheduler::testing {
namespace {

using ::testing::HasSubstr;

// A worker gets an item of its own and says something wrong of it.
WorkItem FailOnce(Simulation& run, SimulatedWorker& worker) {
  worker.silent = true;
  run.RunWorker(worker);
  run.RunWorker(worker);
  EXPECT_FALSE(worker.leases.empty());
  const auto [lease, item] = *worker.leases.begin();
  ItemResult result = Simulation::Sample(item, lease, false);
  result.samples[0].token_ids[0] = 2147483647;
  EXPECT_TRUE(run.scheduler().Receive(worker.session, result).ok());
  run.scheduler().Step();
  run.RunWorker(worker);
  EXPECT_EQ(worker.verdicts[lease], AckVerdict::kInvalid);
  EXPECT_EQ(worker.session, nullptr) << "its stream has ended";
  return item;
}

TEST(Simulation, AWorkerWhoseResultIsRefusedGetsNothingMoreAndAnotherOneDoesItsItem) {
  SimulationOptions options;
  uint64_t transactions = 0;
  const auto expected = Undisturbed(options, &transactions);
  Simulation run(options);
  ASSERT_TRUE(run.Start().ok());
  SimulatedWorker& bad = run.workers()[0];
  SimulatedWorker& good = run.workers()[1];
  good.absent = true;
  run.RunLearner();
  const WorkItem item = FailOnce(run, bad);
  EXPECT_EQ(run.scheduler().Status().active_leases, 0u) << "nothing of what it had is left with it";
  bad = SimulatedWorker{bad.name};  // started again, and first to ask
  bad.silent = good.silent = true;
  good.absent = false;
  for (SimulatedWorker* worker : {&good, &bad, &good, &bad}) run.RunWorker(*worker);
  const auto has = [&](const SimulatedWorker& worker) {
    return std::any_of(worker.leases.begin(), worker.leases.end(),
                       [&](const auto& lease) { return lease.second == item; });
  };
  EXPECT_TRUE(has(good));
  EXPECT_FALSE(has(bad));
  bad.silent = good.silent = false;
  ASSERT_TRUE(run.RunToEnd());
  EXPECT_EQ(run.batches(), expected);
}

TEST(Simulation, AnItemThatThreeWorkersFailIsParkedAndTheRunGoesOn) {
  SimulationOptions options;
  options.workers = 1;
  options.criterion = tree::Criterion::kFci;
  Simulation run(options);
  ASSERT_TRUE(run.Start().ok());
  SimulatedWorker& worker = run.workers()[0];
  run.RunLearner();
  const WorkItem item = FailOnce(run, worker);
  for (int again = 0; again < 2; ++again) {
    worker = SimulatedWorker{worker.name};
    EXPECT_EQ(FailOnce(run, worker), item) << "nobody else can do it";
  }
  EXPECT_EQ(run.scheduler().run_counters().parked_items, 1u);
  worker = SimulatedWorker{worker.name};
  run.Kill();  // it stays parked
  ASSERT_TRUE(run.Start().ok());
  ASSERT_TRUE(run.RunToEnd());
  for (const TrainingSample& sample : run.batches().at(0).samples) {
    EXPECT_NE(sample.position, item.position) << "its problem is dropped";
  }
}

TEST(Simulation, ItemsOfAProblemThatAreParkedTogetherAreNotHandedOutAgain) {
  SimulationOptions options;
  options.workers = 1;
  options.credits = 100;
  options.criterion = tree::Criterion::kEarliest;
  Simulation run(options);
  ASSERT_TRUE(run.Start().ok());
  SimulatedWorker& worker = run.workers()[0];
  worker.silent = true;
  for (int failed = 0, rounds = 0; failed < 3; ++rounds) {
    ASSERT_LT(rounds, 20);
    run.RunLearner();
    run.RunWorker(worker);
    GiveBack back{.reason = "too long", .failed = true};
    std::erase_if(worker.leases, [&](const auto& held) {
      const auto& [lease, item] = held;
      if (item.kind == ItemKind::kInitial) {
        EXPECT_TRUE(
            run.scheduler().Receive(worker.session, Simulation::Sample(item, lease, false)).ok());
        return true;
      }
      if (item.batch != 0 || item.position != 0) return false;
      back.leases.push_back(lease);
      return true;
    });
    if (back.leases.size() > 1) {
      EXPECT_TRUE(run.scheduler().Receive(worker.session, std::move(back)).ok());
      ++failed;
    }
    run.scheduler().Step();
    while (run.scheduler().GradeOnce()) {
    }
    run.scheduler().Step();
  }
  EXPECT_GT(run.scheduler().run_counters().parked_items, 1u);
  worker.silent = false;
  EXPECT_TRUE(run.RunToEnd());
  EXPECT_EQ(run.scheduler().failure(), absl::OkStatus());
}

TEST(Simulation, ABatchOfWhichNoProblemIsLeftEndsTheSchedulerWithTheReason) {
  SimulationOptions options;
  options.workers = 1;
  options.problems = 1;
  Simulation run(options);
  ASSERT_TRUE(run.Start().ok());
  SimulatedWorker& worker = run.workers()[0];
  run.RunLearner();
  for (int i = 0; i < 3; ++i) {
    FailOnce(run, worker);
    worker = SimulatedWorker{worker.name};
  }
  EXPECT_EQ(run.scheduler().failure().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(run.scheduler().failure().message()),
              HasSubstr("id 2147483647; 0 to 255 is allowed; mend the workers or the model"));
}

TEST(Simulation, AnItemThatAWorkerSaysItCantDoGoesToAnotherOne) {
  SimulationOptions options;
  Simulation run(options);
  ASSERT_TRUE(run.Start().ok());
  for (SimulatedWorker& worker : run.workers()) worker.silent = true;
  SimulatedWorker& unfit = run.workers()[0];
  run.RunLearner();
  run.RunWorker(unfit);
  run.RunWorker(run.workers()[1]);
  run.RunWorker(unfit);
  const auto [lease, item] = *unfit.leases.begin();
  ASSERT_TRUE(run.scheduler().Receive(unfit.session, GiveBack{{lease}, "too long", true}).ok());
  unfit.leases.erase(lease);
  run.scheduler().Step();
  run.RunWorker(unfit);
  for (const auto& [other, again] : unfit.leases) EXPECT_NE(again, item);
  for (SimulatedWorker& worker : run.workers()) worker.silent = false;
  EXPECT_TRUE(run.RunToEnd());
}

TEST(Simulation, StatisticsThatNoTrainingHasChangeNothing) {
  Simulation run({});
  ASSERT_TRUE(run.Start().ok());
  BatchCommit commit = CommitOf(0, Digest(1));
  commit.statistics.train = Span{std::numeric_limits<double>::quiet_NaN(), 1};
  EXPECT_TRUE(absl::IsInvalidArgument(run.scheduler().Commit(commit).status()));
  EXPECT_EQ(run.scheduler().failure(), absl::OkStatus()) << "it goes on";
  EXPECT_TRUE(run.RunToEnd());
}

}  // namespace
}  // namespace attnrl::scheduler::testing
