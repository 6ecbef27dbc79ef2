// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "common/storage/database.h"

namespace attnrl::scheduler {

// Bytes that are no text.
struct Blob {
  const std::string& bytes;
};

// One statement, bound and stepped through, with the first error kept for the end:
//
//   Query query(db, "SELECT base FROM segments WHERE first_batch = ?1", batch);
//   while (query.Next()) use(query.Number<uint32_t>(0));
//   if (!query.status().ok()) return query.status();
class Query {
 public:
  template <typename... Values>
  Query(storage::Database& database, const char* sql, const Values&... values) {
    auto statement = database.Prepare(sql);
    if (!statement.ok()) {
      status_ = statement.status();
      return;
    }
    statement_.emplace(*std::move(statement));
    int index = 0;
    (Bind(++index, values), ...);
  }

  bool Next() {
    if (!status_.ok()) return false;
    auto row = statement_->Step();
    if (!row.ok()) status_ = row.status();
    return row.ok() && *row;
  }
  const absl::Status& status() const { return status_; }

  template <std::integral T>
  T Number(int column) const {
    return static_cast<T>(statement_->Int(column));
  }
  double Real(int column) const { return statement_->Double(column); }
  std::string Text(int column) const { return statement_->Text(column); }
  std::string Bytes(int column) const { return statement_->Blob(column); }
  bool IsNull(int column) const { return statement_->IsNull(column); }

 private:
  void Bind(int index, std::integral auto value) {
    statement_->Bind(index, static_cast<int64_t>(value));
  }
  template <typename Id>
  requires std::is_enum_v<Id>
  void Bind(int index, Id id) { Bind(index, static_cast<uint64_t>(id)); }
  void Bind(int index, double value) { statement_->Bind(index, value); }
  void Bind(int index, const std::string& text) { statement_->Bind(index, std::string_view(text)); }
  void Bind(int index, const Blob& blob) { statement_->BindBlob(index, blob.bytes); }

  absl::Status status_;
  std::optional<storage::Statement> statement_;
};

}  // namespace attnrl::scheduler
