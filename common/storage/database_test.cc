// SPDX-License-Identifier: Apache-2.0
#include "common/storage/database.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "common/base/status.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::storage {
namespace {

using ::testing::HasSubstr;

class DatabaseTest : public ::testing::Test {
 protected:
  DatabaseTest() : database_(*Database::Open(path())) {
    EXPECT_TRUE(database_->Execute("CREATE TABLE t (k INTEGER PRIMARY KEY, v)").ok());
  }
  std::string path() const { return directory_ / "run.db"; }

  absl::Status Insert(int64_t key, std::string_view text) {
    ATTNRL_ASSIGN_OR_RETURN(Statement insert, database_->Prepare("INSERT INTO t VALUES (?1, ?2)"));
    return insert.Bind(1, key).Bind(2, text).Run();
  }
  int64_t Count() {
    Statement count = *database_->Prepare("SELECT count(*) FROM t");
    EXPECT_TRUE(*count.Step());
    return count.Int(0);
  }
  std::string Setting(const std::string& pragma) {
    Statement statement = *database_->Prepare("PRAGMA " + pragma);
    EXPECT_TRUE(*statement.Step());
    return statement.Text(0);
  }

  TemporaryFolder directory_;
  std::unique_ptr<Database> database_;
};

TEST_F(DatabaseTest, GivesBackWhatWasBound) {
  const std::string bytes("\0\xff\n", 3);
  ASSERT_TRUE(database_->Execute("CREATE TABLE u (a, b, c, d, e, f)").ok());
  Statement insert = *database_->Prepare("INSERT INTO u VALUES (?1, ?2, ?3, ?4, ?5, ?6)");
  insert.Bind(1, std::numeric_limits<int64_t>::min()).Bind(2, 0.1).Bind(3, "text");
  ASSERT_TRUE(insert.BindBlob(4, bytes).Bind(6, std::string_view()).Run().ok());
  Statement select = *database_->Prepare("SELECT * FROM u");
  ASSERT_TRUE(*select.Step());
  EXPECT_EQ(select.Int(0), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(select.Double(1), 0.1);
  EXPECT_EQ(select.Text(2), "text");
  EXPECT_EQ(select.Blob(3), bytes);
  EXPECT_TRUE(select.IsNull(4));
  EXPECT_FALSE(select.IsNull(5));
  EXPECT_FALSE(*select.Step());
}

TEST_F(DatabaseTest, BindsEveryWholeNumber) {
  Statement statement = *database_->Prepare("SELECT ?1 + ?2 + ?3");
  statement.Bind(1, 1).Bind(2, uint32_t{2}).Bind(3, size_t{4});
  ASSERT_TRUE(*statement.Step());
  EXPECT_EQ(statement.Int(0), 7);
}

TEST_F(DatabaseTest, ReportsAParameterThatIsNotThere) {
  Statement statement = *database_->Prepare("SELECT ?1");
  EXPECT_FALSE(statement.Bind(2, 1).Step().ok());
  statement.Reset();
  EXPECT_TRUE(statement.Bind(1, 1).Step().ok());
}

TEST_F(DatabaseTest, IsDurableAndPrivate) {
  EXPECT_EQ(Setting("journal_mode"), "wal");
  EXPECT_EQ(Setting("synchronous"), "2");  // FULL
  struct stat info {};
  ASSERT_EQ(::stat(path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(DatabaseTest, RollsBackWhatIsNotCommitted) {
  {
    const Transaction transaction = *Transaction::Begin(database_.get());
    ASSERT_TRUE(Insert(1, "a").ok());
  }
  EXPECT_EQ(Count(), 0);
  Transaction transaction = *Transaction::Begin(database_.get());
  ASSERT_TRUE(Insert(1, "a").ok());
  ASSERT_TRUE(transaction.Commit().ok());
  EXPECT_EQ(Count(), 1);
}

TEST_F(DatabaseTest, KeepsCommitsThroughAKill) {
  database_.reset();
  const pid_t child = ::fork();
  if (child == 0) {
    database_ = *Database::Open(path());
    const bool written = Insert(7, "kept").ok();
    const absl::StatusOr<Transaction> open = Transaction::Begin(database_.get());
    if (!written || !open.ok() || !Insert(8, "lost").ok()) ::_exit(1);
    ::raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  database_ = *Database::Open(path());
  EXPECT_EQ(Count(), 1);
}

TEST_F(DatabaseTest, TellsAFullDiskAndGoesOnWhenThereIsRoom) {
  ASSERT_TRUE(Insert(1, "a").ok());
  Statement limit = *database_->Prepare("PRAGMA max_page_count=3");
  ASSERT_TRUE(limit.Run().ok());
  absl::Status status;
  {
    absl::StatusOr<Transaction> transaction = Transaction::Begin(database_.get());
    ASSERT_TRUE(transaction.ok());
    status = Insert(2, std::string(100000, 'x'));
  }
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(path()));
  EXPECT_EQ(Count(), 1);
  ASSERT_TRUE(database_->Prepare("PRAGMA max_page_count=100000")->Run().ok());
  EXPECT_TRUE(Insert(2, std::string(100000, 'x')).ok());
}

TEST_F(DatabaseTest, RefusesDuplicates) {
  ASSERT_TRUE(Insert(1, "a").ok());
  EXPECT_TRUE(absl::IsAlreadyExists(Insert(1, "b")));
}

TEST_F(DatabaseTest, NamesTheStatementThatIsWrong) {
  EXPECT_THAT(std::string(database_->Execute("SELEKT 1").message()), HasSubstr("SELEKT"));
  EXPECT_FALSE(database_->Prepare("SELECT * FROM nothing").ok());
}

TEST_F(DatabaseTest, RefusesADamagedFile) {
  for (int64_t key = 0; key < 200; ++key) ASSERT_TRUE(Insert(key, std::string(500, 'x')).ok());
  database_.reset();
  std::string bytes = directory_.Read("run.db");
  for (size_t at = 5000; at < 9000; ++at) bytes[at] = static_cast<char>(at * 7);
  directory_.Write("run.db", bytes);
  const absl::Status status = Database::Open(path()).status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(path()));
}

TEST(Database, RefusesWhatIsNoDatabase) {
  const TemporaryFolder directory;
  directory.Write("text.db", std::string(5000, 'x'));
  EXPECT_TRUE(absl::IsDataLoss(Database::Open(directory / "text.db").status()));
  EXPECT_TRUE(absl::IsNotFound(Database::Open(directory / "no/where.db").status()));
}

}  // namespace
}  // namespace attnrl::storage
