// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/store/postgres/ownership.h"

#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/status.h"

namespace attnrl::scheduler::postgres {
namespace {

// In the run's schema. The types are those of services/branch_scheduler/store/README.md.
constexpr char kTables[] = R"(
CREATE TABLE IF NOT EXISTS owner(one BIGINT PRIMARY KEY CHECK(one = 1), epoch BIGINT NOT NULL,
  commits BIGINT NOT NULL, owner TEXT NOT NULL, since TIMESTAMPTZ NOT NULL);
CREATE TABLE IF NOT EXISTS run(key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS segments(first_batch BIGINT PRIMARY KEY, base BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS batches(batch BIGINT PRIMARY KEY, base BIGINT NOT NULL,
  cursor BIGINT NOT NULL, problems BIGINT NOT NULL, real_size FLOAT8 NOT NULL,
  created FLOAT8 NOT NULL);
CREATE TABLE IF NOT EXISTS results(item BIGINT PRIMARY KEY, lease BIGINT NOT NULL,
  worker TEXT NOT NULL, payload BYTEA NOT NULL);
CREATE TABLE IF NOT EXISTS grades(item BIGINT PRIMARY KEY, grades BYTEA NOT NULL,
  start FLOAT8 NOT NULL, "end" FLOAT8 NOT NULL);
CREATE TABLE IF NOT EXISTS versions(number BIGINT PRIMARY KEY, digest TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS commits(batch BIGINT PRIMARY KEY, empty BIGINT NOT NULL,
  time FLOAT8 NOT NULL, train_start FLOAT8 NOT NULL, train_end FLOAT8 NOT NULL,
  problems BIGINT NOT NULL, valid BIGINT NOT NULL, solved_sum FLOAT8 NOT NULL,
  solved_count BIGINT NOT NULL, metrics TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS checkpoints(step BIGINT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS lines(id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  file TEXT NOT NULL, line TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS lines_of_file ON lines(file, id);
CREATE TABLE IF NOT EXISTS files(file TEXT PRIMARY KEY, bytes BIGINT NOT NULL);
)";

std::string SchemaOf(const std::string& run_id) { return absl::StrCat("attnrl_", run_id); }

// As an identifier of SQL.
std::string Quoted(const std::string& name) {
  return absl::StrCat("\"", absl::StrReplaceAll(name, {{"\"", "\"\""}}), "\"");
}

absl::StatusOr<Owned> OwnedOf(const absl::StatusOr<Result>& result) {
  if (!result.ok()) return result.status();
  Owned owned;
  if (result->rows() != 1 || !absl::SimpleAtoi(result->Text(0, 0), &owned.epoch) ||
      !absl::SimpleAtoi(result->Text(0, 1), &owned.commits)) {
    return absl::DataLossError("the database's table owner has not one row of numbers");
  }
  owned.owner = result->Text(0, 2);
  return owned;
}

}  // namespace

absl::Status UseSchema(Connection& connection, const std::string& run_id) {
  return connection.Run(absl::StrCat("SET search_path TO ", Quoted(SchemaOf(run_id)))).status();
}

absl::StatusOr<bool> TryLock(Connection& connection, const std::string& run_id) {
  const std::string schema = SchemaOf(run_id);
  ATTNRL_ASSIGN_OR_RETURN(
      const Result result,
      connection.Run("SELECT pg_try_advisory_lock(hashtextextended($1, 0))::int::bigint",
                     {std::string_view(schema)}));
  return result.rows() == 1 && result.Row(0)->Int(0) == 1;
}

std::string OwnerOf(Connection& connection, const std::string& run_id) {
  const std::string schema = SchemaOf(run_id);
  const auto there = connection.Run("SELECT to_regclass($1)::text",
                                    {std::string_view(absl::StrCat(Quoted(schema), ".owner"))});
  if (!there.ok() || there->rows() != 1 || there->Row(0)->IsNull(0)) return "another process";
  const auto owned = ReadOwned(connection);
  return owned.ok() ? absl::StrCat(OneLine(owned->owner), " with epoch ", owned->epoch)
                    : "another process";
}

absl::Status EnsureTables(Connection& connection, const std::string& run_id) {
  const std::string schema = SchemaOf(run_id);
  ATTNRL_ASSIGN_OR_RETURN(
      const Result there,
      connection.Run("SELECT 1 FROM pg_namespace WHERE nspname = $1", {std::string_view(schema)}));
  // Not IF NOT EXISTS, which needs the right to make one where it is there.
  const std::string make =
      there.rows() > 0 ? "" : absl::StrCat("CREATE SCHEMA ", Quoted(schema), ";");
  return connection.Run(absl::StrCat("BEGIN;", make, kTables, "COMMIT")).status();
}

absl::StatusOr<Owned> TakeOver(Connection& connection, const std::string& owner) {
  ATTNRL_RETURN_IF_ERROR(
      connection
          .Run("INSERT INTO owner VALUES(1, 1, 0, $1, now()) ON CONFLICT(one) DO UPDATE SET "
               "epoch = owner.epoch + 1, owner = excluded.owner, since = excluded.since",
               {std::string_view(owner)})
          .status());
  return ReadOwned(connection);
}

absl::StatusOr<Owned> ReadOwned(Connection& connection) {
  return OwnedOf(connection.Run("SELECT epoch, commits, owner FROM owner"));
}

}  // namespace attnrl::scheduler::postgres
