// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace attnrl::scheduler {

// Bytes that are no text.
struct Blob {
  std::string_view bytes;
};

// A parameter of a statement. What it points to must last until the call returns.
using SqlValue = std::variant<int64_t, double, std::string_view, Blob>;

// A row that a statement gave; columns count from 0.
class SqlRow {
 public:
  virtual ~SqlRow() = default;
  virtual int64_t Int(int column) const = 0;
  virtual double Real(int column) const = 0;
  // Text or blob.
  virtual std::string Bytes(int column) const = 0;
  virtual bool IsNull(int column) const = 0;
};

// What SqlStore needs of a database that holds the tables of one run. Statements are in the SQL
// that SQLite and PostgreSQL share, name their parameters ?1, ?2, ... and live as long as the
// program. Implementations say in their errors which database it is. Not thread-safe.
class SqlDatabase {
 public:
  virtual ~SqlDatabase() = default;

  virtual absl::Status Begin() = 0;
  // Durable when OK. After an error the transaction is undone, or nothing is known of it
  // (UNAVAILABLE).
  virtual absl::Status Commit() = 0;
  virtual void Rollback() = 0;
  // An error of the statement is returned here or by a later call, at the latest by Commit; the
  // transaction is of no use then. ALREADY_EXISTS: a row with this key is there.
  virtual absl::Status Write(const char* sql, const std::vector<SqlValue>& values) = 0;
  virtual absl::Status Read(const char* sql, const std::vector<SqlValue>& values,
                            absl::FunctionRef<void(const SqlRow&)> take) = 0;
  // Called often by an owner that has nothing to write, where it must show that it lives.
  virtual absl::Status KeepAlive() { return absl::OkStatus(); }
  // For people, e.g. a path.
  virtual const std::string& name() const = 0;
};

}  // namespace attnrl::scheduler
