// SPDX-License-Identifier: Apache-2.0
// What a store must do, over every database that it may lie in; against maps and lists in memory,
// over random sequences of operations.
#include "services/branch_scheduler/store/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/philox.h"
#include "common/base/status.h"
#include "common/storage/database.h"
#include "common/testing/temporary_folder.h"
#include "services/branch_scheduler/item_id.h"
#include "services/branch_scheduler/store/postgres/testing/postgres_server.h"
#include "services/branch_scheduler/store/testing/store_model.h"

namespace attnrl::scheduler {
namespace {

using ::testing::HasSubstr;

enum class Kind { kSqlite, kPostgres };

class StoreTest : public ::testing::TestWithParam<Kind> {
 protected:
  // One server for all of them: each has a run of its own there.
  static void SetUpTestSuite() { server_ = postgres::PostgresServer::Make().release(); }
  static void TearDownTestSuite() { delete std::exchange(server_, nullptr); }
  void SetUp() override {
    if (GetParam() == Kind::kPostgres && server_ == nullptr) {
      GTEST_SKIP() << "no PostgreSQL server is installed";
    }
  }

  // Of a store that isn't there yet.
  StoreLocation NewPlace() {
    static int runs = 0;
    ++runs;
    if (GetParam() == Kind::kSqlite) {
      return {.path = folder_ / absl::StrCat("scheduler-", runs, ".db")};
    }
    return {
        .url = server_->Url(), .run_id = absl::StrCat("run-", runs), .database = "the database"};
  }

  const TemporaryFolder folder_{TemporaryFolder::On::kMemory};

 private:
  static postgres::PostgresServer* server_;
};

postgres::PostgresServer* StoreTest::server_ = nullptr;

INSTANTIATE_TEST_SUITE_P(Everywhere, StoreTest, ::testing::Values(Kind::kSqlite, Kind::kPostgres),
                         [](const auto& store) {
                           return store.param == Kind::kSqlite ? "Sqlite" : "Postgres";
                         });

TEST_P(StoreTest, HoldsWhatMapsInMemoryWouldThroughRollbacksAndRestarts) {
  for (uint64_t seed = 0; seed < 25; ++seed) {
    SCOPED_TRACE(seed);
    const StoreLocation place = NewPlace();
    RandomStream random({.seed = seed});
    auto store = OpenStore(place);
    ASSERT_TRUE(store.ok()) << store.status();
    StoreModel model;
    for (int transaction = 0; transaction < 12; ++transaction) {
      const StoreModel before = model;
      ASSERT_TRUE((*store)->Begin().ok());
      for (uint64_t i = random.Below(12); i > 0; --i) OperateOnBoth(&random, store->get(), &model);
      const uint64_t commits = (*store)->commits();
      if (random.Below(4) == 0) {
        (*store)->Rollback();
        model = before;
        EXPECT_EQ((*store)->commits(), commits);
      } else {
        ASSERT_TRUE((*store)->Commit().ok());
        EXPECT_EQ((*store)->commits(), commits + 1);
      }
      if (random.Below(3) == 0) {
        store->reset();  // with its lock
        store = OpenStore(place);
        ASSERT_TRUE(store.ok()) << store.status();
      }
      ExpectEqual(**store, model);
      if (HasFailure()) return;
    }
  }
}

TEST_P(StoreTest, WhatWasNotCommittedIsGoneWithTheProcess) {
  const StoreLocation place = NewPlace();
  auto store = OpenStore(place);
  ASSERT_TRUE((*store)->Begin().ok());
  ASSERT_TRUE((*store)->Put("epoch", "1").ok());
  store->reset();
  store = OpenStore(place);
  EXPECT_EQ(*(*store)->Get("epoch"), std::nullopt);
}

TEST_P(StoreTest, RefusesATransactionThatWritesWhatIsThere) {
  struct Case {
    const char* table;
    std::function<absl::Status(Store&)> put;
  };
  const std::vector<Case> cases = {
      {"batches", [](Store& store) { return store.PutBatch({.batch = 1}); }},
      {"results", [](Store& store) { return store.PutResult({.item = ItemId{1}}); }},
      {"grades", [](Store& store) { return store.PutGrades(ItemId{1}, "", {}); }},
      {"versions",
       [](Store& store) {
         return store.PutVersion({1, ""});
       }},
      {"commits", [](Store& store) { return store.PutCommit({.batch = 1}); }}};
  const StoreLocation place = NewPlace();
  auto store = OpenStore(place);
  ASSERT_TRUE(store.ok()) << store.status();
  // Whichever call says it.
  const auto transact = [&](const Case& each, const std::string& fact) -> absl::Status {
    ATTNRL_RETURN_IF_ERROR((*store)->Begin());
    ATTNRL_RETURN_IF_ERROR((*store)->Put(fact, "1"));
    ATTNRL_RETURN_IF_ERROR(each.put(**store));
    ATTNRL_RETURN_IF_ERROR((*store)->Put("after", "1"));
    return (*store)->Commit();
  };
  for (const Case& each : cases) {
    ASSERT_EQ(transact(each, "first"), absl::OkStatus());
    const absl::Status status = transact(each, "second");
    (*store)->Rollback();
    EXPECT_TRUE(absl::IsAlreadyExists(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(place.name()));
    EXPECT_THAT(std::string(status.message()), HasSubstr(absl::StrCat("INTO ", each.table)));
    EXPECT_EQ(*(*store)->Get("second"), std::nullopt) << each.table;
  }
}

TEST_P(StoreTest, NeverGivesALineTheNumberOfOneThatWasSettled) {
  const StoreLocation place = NewPlace();
  int64_t last = 0;
  for (int process = 0; process < 3; ++process) {
    auto store = OpenStore(place);
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE((*store)->AddLine("events.jsonl", "{}").ok());
      const auto rows = *(*store)->LinesAfter("events.jsonl", last);
      ASSERT_EQ(rows.size(), 1u);
      EXPECT_GT(rows[0].id, last);
      last = rows[0].id;
      ASSERT_TRUE((*store)->Settle("events.jsonl", last, 3).ok());
    }
  }
}

TEST_P(StoreTest, RefusesAnotherFormat) {
  const StoreLocation place = NewPlace();
  {
    auto store = OpenStore(place);
    ASSERT_TRUE(store.ok()) << store.status();
    EXPECT_EQ(*(*store)->Get("format"), "3");
    ASSERT_TRUE((*store)->Put("format", "1").ok());
  }
  const absl::Status other = OpenStore(place).status();
  EXPECT_TRUE(IsInputError(other));
  EXPECT_EQ(std::string(other.message()),
            place.name() + ": database format 1; this build reads format 3");
}

TEST(SqliteStore, RefusesASecondProcess) {
  const TemporaryFolder folder(TemporaryFolder::On::kMemory);
  const StoreLocation place = {.path = folder / "scheduler.db"};
  auto store = OpenStore(place);
  ASSERT_TRUE(store.ok());
  const absl::Status second = OpenStore(place).status();
  EXPECT_THAT(std::string(second.message()), HasSubstr("in use"));
  EXPECT_THAT(std::string(second.message()), HasSubstr(place.path));
}

// Another build's file may lack what this one reads: every read says so instead of being empty.
TEST(SqliteStore, ReportsTheErrorsOfItsReads) {
  const TemporaryFolder folder(TemporaryFolder::On::kMemory);
  const std::string path = folder / "scheduler.db";
  auto store = OpenStore({.path = path});
  auto database = storage::Database::Open(path);
  ASSERT_TRUE(database.ok());
  for (const char* table : {"run", "segments", "batches", "results", "versions", "commits",
                            "checkpoints", "lines", "files"}) {
    ASSERT_TRUE((*database)->Execute(absl::StrCat("DROP TABLE ", table)).ok()) << table;
  }
  EXPECT_FALSE((*store)->Get("x").ok());
  EXPECT_FALSE((*store)->Segments().ok());
  EXPECT_FALSE((*store)->Batches(0).ok());
  EXPECT_FALSE((*store)->Results(0).ok());
  EXPECT_FALSE((*store)->LeaseOfResult(ItemId{1}).ok());
  EXPECT_FALSE((*store)->Versions().ok());
  EXPECT_FALSE((*store)->Commits().ok());
  EXPECT_FALSE((*store)->Checkpoints().ok());
  EXPECT_FALSE((*store)->LinesAfter("events.jsonl", 0).ok());
  EXPECT_FALSE((*store)->SettledBytes("events.jsonl").ok());
  EXPECT_THAT(std::string((*store)->Put("a", "b").message()), HasSubstr(path));
}

}  // namespace
}  // namespace attnrl::scheduler
