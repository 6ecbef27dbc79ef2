// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sqlite3;
struct sqlite3_stmt;

namespace attnrl::storage {

class Database;

// One prepared statement. Parameters count from 1, columns from 0, as in SQLite. Text and blobs are
// copied at Bind. Not thread-safe; must not outlive its database.
//
//   ATTNRL_ASSIGN_OR_RETURN(Statement select, db.Prepare("SELECT digest FROM version WHERE n =
//   ?")); select.Bind(1, n); ATTNRL_ASSIGN_OR_RETURN(bool found, select.Step()); if (found) digest
//   = select.Text(0);
class Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&& other) noexcept;
  ~Statement();

  Statement& Bind(int index, int64_t value);
  Statement& Bind(int index, double value);
  Statement& Bind(int index, std::string_view text);
  Statement& BindBlob(int index, std::string_view bytes);
  Statement& BindNull(int index);

  // True: a row is there to be read; false: done, and the statement is reset.
  absl::StatusOr<bool> Step();
  // Step for a statement without rows, then Reset.
  absl::Status Run();
  // Ready to be bound and run again; bindings are cleared.
  void Reset();

  int64_t Int(int column) const;
  double Double(int column) const;
  std::string Text(int column) const;
  std::string Blob(int column) const;
  bool IsNull(int column) const;

 private:
  friend class Database;
  Statement(Database* database, sqlite3_stmt* statement)
      : database_(database), statement_(statement) {}
  Database* database_;
  sqlite3_stmt* statement_;
};

// One SQLite database: WAL, synchronous=FULL (what is committed survives a power cut), defensive
// settings, quick_check when opened. Errors name the file; a full disk is RESOURCE_EXHAUSTED, a
// damaged file DATA_LOSS. One writer: the caller holds the run's lock. Not thread-safe.
class Database {
 public:
  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& path);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // One or more statements without parameters or rows.
  absl::Status Execute(const std::string& sql);
  absl::StatusOr<Statement> Prepare(const std::string& sql);
  // Moves the WAL into the database file and truncates it.
  absl::Status Checkpoint();
  const std::string& path() const { return path_; }

 private:
  friend class Statement;
  Database(std::string path, sqlite3* handle) : path_(std::move(path)), handle_(handle) {}
  absl::Status Error(int code, std::string_view action) const;

  std::string path_;
  sqlite3* handle_;
};

// BEGIN IMMEDIATE ... COMMIT; rolls back when it goes out of scope without a Commit.
class Transaction {
 public:
  static absl::StatusOr<Transaction> Begin(Database* database);
  Transaction(Transaction&& other) noexcept : database_(other.database_) {
    other.database_ = nullptr;
  }
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  // Durable when OK.
  absl::Status Commit();

 private:
  explicit Transaction(Database* database) : database_(database) {}
  Database* database_;  // null once ended
};

}  // namespace attnrl::storage
