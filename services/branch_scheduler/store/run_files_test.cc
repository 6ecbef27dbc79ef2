// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/store/run_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/base/status.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::scheduler {
namespace {

using ::testing::HasSubstr;

class RunFiles : public ::testing::Test {
 protected:
  absl::Status IsThere() const {
    return CheckDatabaseIsThere(database_, folder_.path(), folder_.path());
  }
  absl::Status IsNotBehind(uint32_t committed) const {
    return CheckDatabaseIsNotBehind(database_, folder_.path(), committed);
  }

  const TemporaryFolder folder_{TemporaryFolder::On::kMemory};
  const std::string database_ = folder_ / "scheduler.db";
};

TEST_F(RunFiles, ANewRunNeedsNoDatabase) {
  EXPECT_EQ(IsThere(), absl::OkStatus());
  folder_.Write("metrics.jsonl", "");
  folder_.Write("events.jsonl", "");
  folder_.Write("checkpoints/step-0/config.json", "{}");
  EXPECT_EQ(IsThere(), absl::OkStatus()) << "a start that was killed at once leaves these";
}

TEST_F(RunFiles, RecordsAndCheckpointsWithoutADatabaseAreRefusedNamingThem) {
  folder_.Write("events.jsonl", "{}\n");
  folder_.Write("checkpoints/step-3/config.json", "{}");
  folder_.Write("checkpoints/step-12/config.json", "{}");
  folder_.Write("checkpoints/damaged-step-40/config.json", "{}");
  const absl::Status status = IsThere();
  EXPECT_TRUE(IsInputError(status));
  EXPECT_EQ(std::string(status.message()),
            database_ + ": is missing, but " + folder_.path() +
                " holds events.jsonl (3 bytes), checkpoints/step-12 of a run; " + kPutBack);
  folder_.Write("scheduler.db", "");
  EXPECT_FALSE(IsThere().ok()) << "an empty file is no database";
  folder_.Write("scheduler.db-wal", "all of a young run");
  EXPECT_EQ(IsThere(), absl::OkStatus());
}

TEST_F(RunFiles, ACheckpointMayBeOneStepAheadOfItsCommit) {
  EXPECT_EQ(IsNotBehind(0), absl::OkStatus());
  folder_.Write("checkpoints/step-4/config.json", "{}");
  EXPECT_EQ(IsNotBehind(4), absl::OkStatus());
  EXPECT_EQ(IsNotBehind(3), absl::OkStatus());
  const absl::Status status = IsNotBehind(2);
  EXPECT_TRUE(IsInputError(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("ends at step 2, but "));
  EXPECT_THAT(std::string(status.message()), HasSubstr("holds checkpoints/step-4; put back"));
}

TEST_F(RunFiles, AServersRunWhoseRecordsAreElsewhereIsRefused) {
  const StoreLocation store = {.url = "postgres:///d", .run_id = "mine", .database = "the server"};
  EXPECT_EQ(CheckRecordsAreThere(store, folder_.path(), 0), absl::OkStatus());
  EXPECT_EQ(std::string(CheckRecordsAreThere(store, folder_.path(), 7).message()),
            "the server: holds 7 steps of the run mine, whose records are not in " +
                folder_.path() +
                "; observe.records where they are, or a run.id that no other run "
                "has");
  folder_.Write("metrics.jsonl", "{}\n");
  EXPECT_EQ(CheckRecordsAreThere(store, folder_.path(), 7), absl::OkStatus());
}

}  // namespace
}  // namespace attnrl::scheduler
