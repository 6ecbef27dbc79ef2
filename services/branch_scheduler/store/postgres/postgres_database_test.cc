// SPDX-License-Identifier: Apache-2.0
// What PostgreSQL adds to a store: a server that goes away, and another owner. What both stores do
// is in services/branch_scheduler/store/store_test.cc.
#include "services/branch_scheduler/store/postgres/postgres_database.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/base/status.h"
#include "services/branch_scheduler/store/postgres/connection.h"
#include "services/branch_scheduler/store/postgres/ownership.h"
#include "services/branch_scheduler/store/postgres/testing/postgres_server.h"

namespace attnrl::scheduler::postgres {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kPut[] = "INSERT INTO run VALUES(?1, ?2)";
constexpr char kCount[] = "SELECT count(*) FROM run";

class PostgresDatabaseTest : public ::testing::Test {
 protected:
  void SetUp() override {
    server_ = PostgresServer::Make();
    if (server_ == nullptr) GTEST_SKIP() << "no PostgreSQL server is installed";
    options_.connection.url = server_->Url();
    options_.connection.name = "the database";
    options_.connection.statement = absl::Seconds(1);
    options_.connection.connect = absl::Seconds(2);
    options_.run_id = "a";
    options_.owner = "first";
    options_.look_again = absl::Milliseconds(20);
  }
  std::unique_ptr<SqlDatabase> Open() {
    auto database = OpenPostgresDatabase(options_);
    EXPECT_TRUE(database.ok()) << database.status();
    return database.ok() ? *std::move(database) : nullptr;
  }
  static absl::Status Put(SqlDatabase& database, const std::string& key, size_t size = 1) {
    const std::string value(size, 'x');
    return database.Write(kPut, {std::string_view(key), std::string_view(value)});
  }
  static absl::Status PutNowhere(SqlDatabase& database) {
    return database.Write("INSERT INTO nowhere VALUES(?1)", {int64_t{1}});
  }
  static int64_t Count(SqlDatabase& database) {
    int64_t count = -1;
    EXPECT_TRUE(database.Read(kCount, {}, [&](const SqlRow& row) { count = row.Int(0); }).ok());
    return count;
  }

  std::unique_ptr<PostgresServer> server_;
  PostgresOptions options_;
};

TEST_F(PostgresDatabaseTest, ATransactionOutlivesAKillOfTheServerAtEveryPlace) {
  const auto database = Open();
  int64_t rows = 0;
  // Before: BEGIN, each of two writes, a read, COMMIT, and after it.
  for (int place = 0; place < 6; ++place) {
    const auto kill_at = [&](int here) {
      if (here != place) return;
      server_->Kill();
      server_->Start();
    };
    kill_at(0);
    ASSERT_TRUE(database->Begin().ok());
    kill_at(1);
    ASSERT_TRUE(Put(*database, absl::StrCat("a", place)).ok());
    kill_at(2);
    ASSERT_TRUE(Put(*database, absl::StrCat("b", place)).ok());
    rows += 2;
    kill_at(3);
    EXPECT_EQ(Count(*database), rows) << "a transaction sees its own rows";
    kill_at(4);
    const absl::Status status = database->Commit();
    ASSERT_TRUE(status.ok()) << status;
    kill_at(5);
    EXPECT_EQ(Count(*database), rows) << place;
  }
}

TEST_F(PostgresDatabaseTest, ATransactionOutlivesAKillOfTheServerWithStatementsUnderWay) {
  options_.connection.unanswered_bytes = 100'000;
  const auto database = Open();
  ASSERT_TRUE(database->Begin().ok());
  // Some are answered, some are under way, some still wait here.
  for (int i = 0; i < 25; ++i) ASSERT_TRUE(Put(*database, absl::StrCat("a", i), 10'000).ok());
  server_->Pause();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Put(*database, absl::StrCat("b", i), 10'000).ok());
  server_->Kill();
  server_->Start();
  for (int i = 0; i < 25; ++i) ASSERT_TRUE(Put(*database, absl::StrCat("c", i), 10'000).ok());
  const absl::Status status = database->Commit();
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(Count(*database), 55);
}

TEST_F(PostgresDatabaseTest, AnErrorBetweenOtherStatementsIsNamedAndUndoesTheTransaction) {
  const auto database = Open();
  const auto transact = [&](bool read) -> absl::Status {
    ATTNRL_RETURN_IF_ERROR(database->Begin());
    ATTNRL_RETURN_IF_ERROR(Put(*database, "before"));
    ATTNRL_RETURN_IF_ERROR(PutNowhere(*database));
    ATTNRL_RETURN_IF_ERROR(Put(*database, "behind"));
    if (read) ATTNRL_RETURN_IF_ERROR(database->Read(kCount, {}, [](const SqlRow&) {}));
    return database->Commit();
  };
  for (const bool read : {false, true}) {
    const absl::Status status = transact(read);
    EXPECT_EQ(status, absl::InternalError("the database: INSERT INTO nowhere VALUES($1): relation "
                                          "\"nowhere\" does not exist (SQLSTATE 42P01)"));
    database->Rollback();
    EXPECT_EQ(Count(*database), 0);
  }
  ASSERT_TRUE(database->Begin().ok());
  ASSERT_TRUE(Put(*database, "next").ok());
  ASSERT_TRUE(database->Commit().ok());
  EXPECT_EQ(Count(*database), 1);
}

TEST_F(PostgresDatabaseTest, StatementsOfNoMoreThanTheBoundAreUnderWay) {
  options_.connection.unanswered_bytes = 10'000;
  const auto database = Open();
  ASSERT_TRUE(database->Begin().ok());
  absl::Status status = PutNowhere(*database);
  int more = 0;
  for (; status.ok() && more < 100; ++more) {
    status = Put(*database, absl::StrCat(more), 1'000);
  }
  EXPECT_TRUE(absl::IsInternal(status)) << status;
  EXPECT_LE(more, 11) << "the error is known before more is sent";
}

TEST_F(PostgresDatabaseTest, WhatWasRolledBackStaysAwayWhateverHappensToTheServer) {
  const auto database = Open();
  ASSERT_TRUE(database->Begin().ok());
  ASSERT_TRUE(Put(*database, "gone").ok());
  server_->Kill();
  database->Rollback();
  server_->Start();
  EXPECT_EQ(Count(*database), 0);
}

TEST_F(PostgresDatabaseTest, AServerThatStandsStillIsLeftAndFoundAgain) {
  const auto database = Open();
  ASSERT_TRUE(database->Begin().ok());
  ASSERT_TRUE(Put(*database, "a").ok());
  server_->Pause();
  absl::Notification committed;
  std::thread commit([&] {
    const absl::Status status = database->Commit();
    EXPECT_TRUE(status.ok()) << status;
    committed.Notify();
  });
  // Longer than the deadline of the COMMIT: its connection is given up with the answer unknown.
  EXPECT_FALSE(committed.WaitForNotificationWithTimeout(absl::Seconds(3)));
  server_->Continue();
  commit.join();
  EXPECT_EQ(Count(*database), 1) << "once, although the first COMMIT was answered to nobody";
}

TEST_F(PostgresDatabaseTest, AServerThatStaysAwayIsWaitedForNoLongerThanSaid) {
  const auto database = Open();
  options_.patience = absl::Milliseconds(300);
  server_->Kill();
  const absl::Status status = OpenPostgresDatabase(options_).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("the database can't be reached"));
}

TEST_F(PostgresDatabaseTest, ARefusalInTheMiddleOfATransactionIsAFailureOfTheDatabase) {
  options_.patience = absl::Milliseconds(300);
  const auto database = Open();
  ASSERT_TRUE(database->Begin().ok());
  ASSERT_TRUE(Put(*database, "a").ok());
  TemporaryFolder folder;
  const std::string wrong = folder.Write("pgpass", "*:*:*:*:another-secret\n");
  ASSERT_EQ(::chmod(wrong.c_str(), 0440), 0);
  ::setenv("PGPASSFILE", wrong.c_str(), 1);
  server_->Kill();
  server_->Start();
  absl::Status status = Put(*database, "b");
  if (status.ok()) status = database->Commit();  // the first that waits for an answer
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("password authentication failed"));
  ::setenv("PGPASSFILE", server_->password_file().c_str(), 1);
}

TEST_F(PostgresDatabaseTest, AStandbyHearsWhoHasTheRunAndTakesOverWhenItEnds) {
  auto first = Open();
  options_.owner = "second";
  absl::Notification waits;
  std::string owner;
  options_.standby = [&](const std::string& who) {
    owner = who;
    if (!waits.HasBeenNotified()) waits.Notify();
    return absl::OkStatus();
  };
  std::unique_ptr<SqlDatabase> second;
  std::thread standby([&] { second = Open(); });
  waits.WaitForNotification();
  EXPECT_EQ(owner, "first with epoch 1");
  first.reset();
  standby.join();
  ASSERT_NE(second, nullptr);
  EXPECT_TRUE(second->Begin().ok());
  EXPECT_TRUE(second->Commit().ok());
}

TEST_F(PostgresDatabaseTest, AStandbyGivesUpWhenItIsAsked) {
  const auto first = Open();
  options_.stop = [] { return true; };
  EXPECT_TRUE(absl::IsCancelled(OpenPostgresDatabase(options_).status()));
  server_->Kill();
  EXPECT_TRUE(absl::IsCancelled(OpenPostgresDatabase(options_).status()));
}

TEST_F(PostgresDatabaseTest, AnOwnerThatStoodStillIsRefusedByName) {
  options_.connection.idle = absl::Seconds(1);
  const auto first = Open();
  ASSERT_TRUE(first->Begin().ok());
  ASSERT_TRUE(Put(*first, "lost").ok());
  // It says nothing for longer than that.
  options_.owner = "second";
  const auto second = Open();
  ASSERT_NE(second, nullptr);
  const absl::Status status = first->Commit();
  EXPECT_TRUE(absl::IsAborted(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("the branch-scheduler second owns the run a with epoch 2; this one has "
                        "epoch 1 and must end"));
  EXPECT_TRUE(absl::IsAborted(first->Begin()));
  EXPECT_EQ(Count(*second), 0);
}

TEST_F(PostgresDatabaseTest, ATransactionWhoseEpochIsOverIsRefusedByName) {
  const auto database = Open();
  const auto other = Connection::Connect(options_.connection);
  ASSERT_TRUE(other.ok()) << other.status();
  ASSERT_TRUE(UseSchema(**other, "a").ok());
  ASSERT_TRUE((*other)->Run("UPDATE owner SET epoch = 7, owner = 'other'").ok());
  ASSERT_TRUE(database->Begin().ok());
  ASSERT_TRUE(Put(*database, "late").ok());
  const absl::Status status = database->Commit();
  EXPECT_TRUE(absl::IsAborted(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("the branch-scheduler other owns the run a with epoch 7; this one has "
                        "epoch 1 and must end"));
  EXPECT_EQ(database->Begin(), status);
  EXPECT_EQ(Put(*database, "later"), status);
  EXPECT_EQ((*other)->Run("SELECT count(*) FROM run")->Text(0, 0), "0");
}

TEST_F(PostgresDatabaseTest, AnOwnerThatShowsThatItLivesKeepsTheRun) {
  options_.connection.idle = absl::Seconds(3);
  options_.look_again = absl::Milliseconds(100);
  const auto first = Open();
  int looks = 0;
  options_.standby = [&](const std::string&) {
    const absl::Status alive = first->KeepAlive();
    EXPECT_TRUE(alive.ok()) << alive;
    return ++looks == 50 ? absl::CancelledError("five seconds") : absl::OkStatus();
  };
  EXPECT_TRUE(absl::IsCancelled(OpenPostgresDatabase(options_).status()));
}

TEST_F(PostgresDatabaseTest, RunsOfOneDatabaseDoNotMix) {
  const auto first = Open();
  options_.run_id = "B \"quoted\"";
  const auto second = Open();
  ASSERT_NE(second, nullptr);
  EXPECT_TRUE(Put(*first, "a").ok());
  EXPECT_EQ(Count(*first), 1);
  EXPECT_EQ(Count(*second), 0);
}

TEST_F(PostgresDatabaseTest, RefusalsAreOneLineThatNamesTheDatabaseAndWhatToDo) {
  options_.connection.url = server_->Url("elsewhere");
  absl::Status status = OpenPostgresDatabase(options_).status();
  EXPECT_TRUE(IsInputError(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("the database: refuses the connection: "));
  EXPECT_THAT(std::string(status.message()), HasSubstr("\"elsewhere\" does not exist"));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("\n")));

  options_.connection.url = server_->Url();
  TemporaryFolder folder;
  const std::string wrong = folder.Write("pgpass", "*:*:*:*:another-secret\n");
  ASSERT_EQ(::chmod(wrong.c_str(), 0440), 0);
  ::setenv("PGPASSFILE", wrong.c_str(), 1);
  status = OpenPostgresDatabase(options_).status();
  EXPECT_TRUE(IsInputError(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("password authentication failed"));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("another-secret")));

  ASSERT_EQ(::chmod(wrong.c_str(), 0444), 0);
  status = OpenPostgresDatabase(options_).status();
  EXPECT_EQ(std::string(status.message()),
            absl::StrCat("PGPASSFILE: ", wrong,
                         " is open to everybody; mode 0600, or 0440 where a group owns it"));
  ::setenv("PGPASSFILE", server_->password_file().c_str(), 1);
}

}  // namespace
}  // namespace attnrl::scheduler::postgres
