// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sqlite3;
struct sqlite3_stmt;

namespace attnrl::storage {

class Database;

// One prepared statement. Parameters count from 1, columns from 0, as in SQLite. Text and blobs are
// copied at Bind. Not thread-safe; must not outlive its database.
//
//   ATTNRL_ASSIGN_OR_RETURN(Statement select,
//                           database->Prepare("SELECT digest FROM versions WHERE number = ?1"));
//   select.Bind(1, number);
//   ATTNRL_ASSIGN_OR_RETURN(const bool found, select.Step());
//   if (found) digest = select.Text(0);
class Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&& other) noexcept;
  ~Statement();

  template <std::integral T>
  Statement& Bind(int index, T value) {
    return BindInt(index, static_cast<int64_t>(value));
  }
  Statement& Bind(int index, double value);
  Statement& Bind(int index, std::string_view text);
  Statement& BindBlob(int index, std::string_view bytes);

  // True: a row is there to be read; false: done, and the statement is reset. The first error of a
  // Bind is reported here.
  absl::StatusOr<bool> Step();
  // Step until done, then Reset; rows are dropped.
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
  Statement& BindInt(int index, int64_t value);
  // Remembers the first error of a Bind.
  Statement& Keep(int code);

  Database* database_;
  sqlite3_stmt* statement_;
  int bind_error_ = 0;
};

// One SQLite file in WAL mode with synchronous=FULL: what a transaction has committed survives a
// kill and a loss of power. Errors name the file. Codes: kResourceExhausted the disk is full,
// kDataLoss the file is damaged or no database, kUnavailable another process holds it,
// kAlreadyExists a uniqueness rule, kPermissionDenied it can't be opened, kInternal the rest.
// One writer: the caller holds a FileLock. Not thread-safe.
class Database {
 public:
  // Opens or creates (mode 0600) the file and runs quick_check on it.
  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& path);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // One or more statements without parameters or rows.
  absl::Status Execute(const std::string& sql);
  absl::StatusOr<Statement> Prepare(std::string_view sql);
  const std::string& path() const { return path_; }

 private:
  friend class Statement;
  friend class Transaction;
  Database(std::string path, sqlite3* handle) : path_(std::move(path)), handle_(handle) {}
  absl::Status Configure();
  absl::Status Error(int code, std::string_view doing) const;
  void Rollback();

  const std::string path_;
  sqlite3* const handle_;
};

// BEGIN IMMEDIATE ... COMMIT; rolls back when it goes out of scope without a Commit, and when the
// Commit fails.
class Transaction {
 public:
  static absl::StatusOr<Transaction> Begin(Database* database);
  Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  // Durable when OK.
  absl::Status Commit();

 private:
  explicit Transaction(Database* database) : database_(database) {}

  Database* database_;  // null once ended
};

}  // namespace attnrl::storage
