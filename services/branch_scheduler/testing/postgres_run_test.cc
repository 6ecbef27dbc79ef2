// SPDX-License-Identifier: Apache-2.0
// Whole runs on a PostgreSQL server, whose scheduler and server are killed.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "services/branch_scheduler/store/postgres/testing/postgres_server.h"
#include "services/branch_scheduler/testing/simulation.h"

namespace attnrl::scheduler {
namespace {

using testing::Simulation;
using testing::SimulationOptions;

class PostgresRunTest : public ::testing::Test {
 protected:
  void SetUp() override {
    server_ = postgres::PostgresServer::Make();
    if (server_ == nullptr) GTEST_SKIP() << "no PostgreSQL server is installed";
    options_.criterion = tree::Criterion::kEarliest;
    options_.steps = 3;
    options_.credits = 3;
    options_.training_takes_a_round = true;
    expected_ = testing::Undisturbed(options_, &transactions_);
  }
  std::unique_ptr<Simulation> Start(const std::string& run_id) {
    auto run = std::make_unique<Simulation>(options_);
    run->options().store = {.url = server_->Url(), .run_id = run_id, .database = "the database"};
    const absl::Status started = run->Start();
    EXPECT_TRUE(started.ok()) << started;
    return run;
  }

  std::unique_ptr<postgres::PostgresServer> server_;
  SimulationOptions options_;
  uint64_t transactions_ = 0;
  std::map<uint32_t, TrainingBatch> expected_;
};

TEST_F(PostgresRunTest, EndsWithTheBatchesOfOneOnSqliteWhereverItsSchedulerIsKilled) {
  for (uint64_t kill = 1; kill <= transactions_; kill += 5) {
    SCOPED_TRACE(absl::StrCat("killed after transaction ", kill));
    const auto run = Start(absl::StrCat("killed-", kill));
    run->KillAfter(kill);
    ASSERT_TRUE(run->RunToEnd());
    EXPECT_TRUE(run->killed());
    ASSERT_EQ(run->batches(), expected_);
    EXPECT_EQ(run->Lines("metrics.jsonl").size(), options_.steps);
  }
}

TEST_F(PostgresRunTest, EndsWithTheBatchesOfOneOnSqliteThroughKillsOfTheServer) {
  const auto run = Start("server-killed");
  for (int round = 1; run->Tick(); ++round) {
    if (round % 7 != 0) continue;
    server_->Kill();
    server_->Start();
  }
  EXPECT_EQ(run->batches(), expected_);
  EXPECT_EQ(run->Lines("metrics.jsonl").size(), options_.steps);
}

TEST_F(PostgresRunTest, RunsOfOneNameWithRecordsInDifferentPlacesAreRefused) {
  ASSERT_TRUE(Start("mine")->RunToEnd());
  Simulation other(options_);
  other.options().store = {.url = server_->Url(), .run_id = "mine", .database = "the database"};
  EXPECT_EQ(std::string(other.Start().message()),
            absl::StrCat("the database: holds 3 steps of the run mine, whose records are not in ",
                         other.folder(),
                         "; observe.records where they are, or a run.id that no other run has"));
}

TEST_F(PostgresRunTest, ADatabaseThatWasLostIsRefusedAndTheRecordsStay) {
  const auto run = Start("mine");
  ASSERT_TRUE(run->RunToEnd());
  const auto metrics = run->Lines("metrics.jsonl");
  run->Kill();
  run->options().store.run_id = "another";
  EXPECT_TRUE(absl::IsInvalidArgument(run->Start()));
  EXPECT_EQ(run->Lines("metrics.jsonl"), metrics);
}

}  // namespace
}  // namespace attnrl::scheduler
