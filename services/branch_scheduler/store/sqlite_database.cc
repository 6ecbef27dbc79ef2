// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/store/sqlite_database.h"

#include <optional>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/database.h"
#include "common/storage/files.h"

namespace attnrl::scheduler {
namespace {

constexpr char kSchema[] = R"(
CREATE TABLE IF NOT EXISTS run(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS segments(first_batch INTEGER PRIMARY KEY, base INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS batches(batch INTEGER PRIMARY KEY, base INTEGER NOT NULL,
  cursor INTEGER NOT NULL, problems INTEGER NOT NULL, real_size REAL NOT NULL,
  created REAL NOT NULL);
CREATE TABLE IF NOT EXISTS results(item INTEGER PRIMARY KEY, lease INTEGER NOT NULL,
  worker TEXT NOT NULL, payload BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS grades(item INTEGER PRIMARY KEY, grades BLOB NOT NULL,
  start REAL NOT NULL, end REAL NOT NULL);
CREATE TABLE IF NOT EXISTS versions(number INTEGER PRIMARY KEY, digest TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS commits(batch INTEGER PRIMARY KEY, empty INTEGER NOT NULL,
  time REAL NOT NULL, train_start REAL NOT NULL, train_end REAL NOT NULL,
  problems INTEGER NOT NULL, valid INTEGER NOT NULL, solved_sum REAL NOT NULL,
  solved_count INTEGER NOT NULL, metrics TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS checkpoints(step INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS lines(id INTEGER PRIMARY KEY AUTOINCREMENT, file TEXT NOT NULL,
  line TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS lines_of_file ON lines(file, id);
CREATE TABLE IF NOT EXISTS files(file TEXT PRIMARY KEY, bytes INTEGER NOT NULL) WITHOUT ROWID;
)";

class SqliteRow final : public SqlRow {
 public:
  explicit SqliteRow(const storage::Statement& statement) : statement_(statement) {}
  int64_t Int(int column) const override { return statement_.Int(column); }
  double Real(int column) const override { return statement_.Double(column); }
  std::string Bytes(int column) const override { return statement_.Blob(column); }
  bool IsNull(int column) const override { return statement_.IsNull(column); }

 private:
  const storage::Statement& statement_;
};

class SqliteDatabase final : public SqlDatabase {
 public:
  SqliteDatabase(storage::FileLock lock, std::unique_ptr<storage::Database> database)
      : lock_(std::move(lock)), database_(std::move(database)) {}

  absl::Status Begin() override {
    ATTNRL_ASSIGN_OR_RETURN(storage::Transaction transaction,
                            storage::Transaction::Begin(database_.get()));
    transaction_.emplace(std::move(transaction));
    return absl::OkStatus();
  }
  absl::Status Commit() override {
    absl::Status status = transaction_->Commit();
    transaction_.reset();
    return status;
  }
  void Rollback() override { transaction_.reset(); }
  absl::Status Write(const char* sql, const std::vector<SqlValue>& values) override {
    return Read(sql, values, [](const SqlRow&) {});
  }
  absl::Status Read(const char* sql, const std::vector<SqlValue>& values,
                    absl::FunctionRef<void(const SqlRow&)> take) override {
    ATTNRL_ASSIGN_OR_RETURN(storage::Statement statement, database_->Prepare(sql));
    int index = 0;
    for (const SqlValue& value : values) {
      ++index;
      if (const auto* blob = std::get_if<Blob>(&value)) {
        statement.BindBlob(index, blob->bytes);
      } else if (const auto* text = std::get_if<std::string_view>(&value)) {
        statement.Bind(index, *text);
      } else if (const auto* real = std::get_if<double>(&value)) {
        statement.Bind(index, *real);
      } else {
        statement.Bind(index, std::get<int64_t>(value));
      }
    }
    const SqliteRow row(statement);
    for (;;) {
      ATTNRL_ASSIGN_OR_RETURN(const bool there, statement.Step());
      if (!there) return absl::OkStatus();
      take(row);
    }
  }
  const std::string& name() const override { return database_->path(); }

 private:
  storage::FileLock lock_;
  std::unique_ptr<storage::Database> database_;
  std::optional<storage::Transaction> transaction_;  // while one is open; ends before the database
};

}  // namespace

absl::StatusOr<std::unique_ptr<SqlDatabase>> OpenSqliteDatabase(const std::string& path) {
  ATTNRL_ASSIGN_OR_RETURN(storage::FileLock lock,
                          storage::FileLock::AcquireFile(path + ".lock", path));
  ATTNRL_ASSIGN_OR_RETURN(std::unique_ptr<storage::Database> database,
                          storage::Database::Open(path));
  ATTNRL_RETURN_IF_ERROR(database->Execute(kSchema));
  return std::make_unique<SqliteDatabase>(std::move(lock), std::move(database));
}

}  // namespace attnrl::scheduler
