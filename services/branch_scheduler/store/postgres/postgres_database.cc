// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/store/postgres/postgres_database.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/observe/log.h"
#include "common/observe/metrics.h"
#include "services/branch_scheduler/store/postgres/ownership.h"

namespace attnrl::scheduler::postgres {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(200);

// All times and deadlines here: the wall clock may be set back, and the run's lock goes with the
// connection of whoever keeps silent.
absl::Duration Monotonic() { return Clock::Real().Monotonic(); }

// A statement of the open transaction, with values of its own.
class Written {
 public:
  Written(std::string sql, const std::vector<SqlValue>& values) : sql_(std::move(sql)) {
    texts_.reserve(values.size());  // views into them stay valid
    for (SqlValue value : values) {
      if (auto* text = std::get_if<std::string_view>(&value)) {
        *text = texts_.emplace_back(*text);
      } else if (auto* blob = std::get_if<Blob>(&value)) {
        blob->bytes = texts_.emplace_back(blob->bytes);
      }
      values_.push_back(value);
    }
  }
  Written(Written&&) = default;  // a vector keeps its elements where they are

  const std::string& sql() const { return sql_; }
  const std::vector<SqlValue>& values() const { return values_; }

 private:
  std::string sql_;
  std::vector<std::string> texts_;
  std::vector<SqlValue> values_;
};

std::string WithDollars(const char* sql) { return absl::StrReplaceAll(sql, {{"?", "$"}}); }

class PostgresDatabase final : public SqlDatabase {
 public:
  explicit PostgresDatabase(const PostgresOptions& options) : options_(options) {}

  absl::Status Open() {
    ATTNRL_RETURN_IF_ERROR(AwaitLock());
    ATTNRL_RETURN_IF_ERROR(EnsureTables(*connection_, options_.run_id));
    ATTNRL_ASSIGN_OR_RETURN(owned_, TakeOver(*connection_, options_.owner));
    return absl::OkStatus();
  }

  absl::Status Begin() override {
    written_.clear();
    open_ = true;
    return Restoring([this] { return BeginOnce(); }, /*again=*/false);
  }
  absl::Status Commit() override {
    absl::Status status = Restoring([this]() -> absl::Status {
      // The transaction was in when its connection was lost.
      if (owned_.commits == number_) return absl::OkStatus();
      ATTNRL_ASSIGN_OR_RETURN(const Result result, connection_->Run("COMMIT", {}));
      if (result.command() == "COMMIT") return absl::OkStatus();
      return absl::InternalError(absl::StrCat(name(), ": the transaction was rolled back"));
    });
    if (status.ok()) {
      owned_.commits = number_;
      open_ = false;
    }
    Rollback();  // of what is still open
    return status;
  }
  void Rollback() override {
    written_.clear();
    // A connection that is lost has rolled back, or does when the next one takes the lock.
    if (!std::exchange(open_, false) || lost()) return;
    connection_->Collect().IgnoreError();  // whatever it was, it is undone
    if (lost() || !connection_->Run("ROLLBACK").ok()) connection_.reset();
  }
  absl::Status Write(const char* sql, const std::vector<SqlValue>& values) override {
    Written statement(WithDollars(sql), values);
    ATTNRL_RETURN_IF_ERROR(Restoring([&] {
      return open_ ? connection_->Send(statement.sql(), statement.values())
                   : connection_->Run(statement.sql(), statement.values()).status();
    }));
    if (open_) written_.push_back(std::move(statement));
    return absl::OkStatus();
  }
  absl::Status Read(const char* sql, const std::vector<SqlValue>& values,
                    absl::FunctionRef<void(const SqlRow&)> take) override {
    std::optional<Result> result;
    ATTNRL_RETURN_IF_ERROR(Restoring([&]() -> absl::Status {
      ATTNRL_ASSIGN_OR_RETURN(Result rows, connection_->Run(WithDollars(sql), values));
      result.emplace(std::move(rows));
      return absl::OkStatus();
    }));
    for (int row = 0; row < result->rows(); ++row) take(*result->Row(row));
    return absl::OkStatus();
  }
  absl::Status KeepAlive() override {
    if (Monotonic() - last_use_ < options_.connection.idle / 3) return absl::OkStatus();
    return Restoring([this]() -> absl::Status {
      ATTNRL_ASSIGN_OR_RETURN(const Owned now, ReadOwned(*connection_));
      return CheckOwned(now);
    });
  }
  const std::string& name() const override { return options_.connection.name; }

 private:
  absl::Status AwaitLock() {
    for (bool first = true;; first = false) {
      if (lost()) {
        ATTNRL_ASSIGN_OR_RETURN(connection_, ConnectWithin(Monotonic() + options_.patience, first));
      }
      const absl::StatusOr<bool> locked = TryLock(*connection_, options_.run_id);
      if (!locked.ok() && !lost()) return locked.status();
      if (locked.ok() && *locked) return absl::OkStatus();
      if (options_.standby) {
        ATTNRL_RETURN_IF_ERROR(options_.standby(OwnerOf(*connection_, options_.run_id)));
      }
      ATTNRL_RETURN_IF_ERROR(Wait(options_.look_again));
    }
  }

  absl::Status Wait(absl::Duration duration) const {
    for (; duration > absl::ZeroDuration(); duration -= kTick) {
      if (options_.stop && options_.stop()) {
        return absl::CancelledError(absl::StrCat(name(), ": the wait for it was given up"));
      }
      absl::SleepFor(std::min(duration, kTick));
    }
    return absl::OkStatus();
  }

  bool lost() const { return connection_ == nullptr || connection_->lost(); }

  absl::Status BeginOnce() {
    number_ = owned_.commits + 1;
    ATTNRL_RETURN_IF_ERROR(connection_->Send("BEGIN", {}));
    // In another owner's row the number would be missing, an error, behind which nothing is run.
    return connection_->Send("UPDATE owner SET commits = CASE WHEN epoch = $1 THEN commits + 1 END",
                             {static_cast<int64_t>(owned_.epoch)});
  }

  absl::Status NameOwner() {
    ATTNRL_RETURN_IF_ERROR(connection_->Run("ROLLBACK").status());
    ATTNRL_ASSIGN_OR_RETURN(const Owned now, ReadOwned(*connection_));
    return Fenced(now);
  }
  absl::Status Fenced(const Owned& now) const {
    return absl::AbortedError(absl::StrCat(
        name(), ": the branch-scheduler ", OneLine(now.owner), " owns the run ", options_.run_id,
        " with epoch ", now.epoch, "; this one has epoch ", owned_.epoch, " and must end"));
  }
  // What the server knows is what this process has committed, or one more in an open transaction.
  absl::Status CheckOwned(const Owned& now) const {
    if (now.epoch != owned_.epoch) return Fenced(now);
    if (now.commits == owned_.commits || (open_ && now.commits == number_)) {
      return absl::OkStatus();
    }
    return absl::DataLossError(absl::StrCat(
        name(), " knows ", now.commits, " commits of this process, which has made ", owned_.commits,
        ": it was put back, or a replica that lacks some has taken its place"));
  }

  absl::StatusOr<std::unique_ptr<Connection>> ConnectWithin(absl::Duration deadline, bool first) {
    absl::Duration wait = absl::Milliseconds(50);
    for (;;) {
      auto connection = Connection::Connect(options_.connection);
      // In the middle of a run a refusal may pass, as one for too many connections.
      const bool final = first && !absl::IsUnavailable(connection.status());
      if (connection.ok() || final || Monotonic() + wait > deadline) {
        if (!connection.ok()) return connection.status();
        ATTNRL_RETURN_IF_ERROR(UseSchema(**connection, options_.run_id));
        return connection;
      }
      if (wait == absl::Milliseconds(50)) {
        observe::LogWarning("waiting for the database", {{"reason", connection.status()}});
      }
      ATTNRL_RETURN_IF_ERROR(Wait(wait));
      wait = std::min(2 * wait, absl::Seconds(2));
    }
  }

  // A new connection that has the lock, which the one before may still hold, in a COMMIT even.
  absl::Status Reconnect(absl::Duration deadline) {
    connection_.reset();
    ATTNRL_ASSIGN_OR_RETURN(auto connection, ConnectWithin(deadline, false));
    for (;;) {
      ATTNRL_ASSIGN_OR_RETURN(const bool locked, TryLock(*connection, options_.run_id));
      ATTNRL_ASSIGN_OR_RETURN(const Owned now, ReadOwned(*connection));
      if (now.epoch != owned_.epoch) return Fenced(now);
      if (locked) {
        ATTNRL_RETURN_IF_ERROR(CheckOwned(now));
        if (open_) owned_.commits = now.commits;
        connection_ = std::move(connection);
        observe::Count(observe::kSchedulerStoreReconnectsTotal);
        observe::LogInfo("connected to the database again", {{"database", name()}});
        return absl::OkStatus();
      }
      if (Monotonic() > deadline) {
        return absl::UnavailableError(absl::StrCat(name(), ": the run's lock is not free"));
      }
      ATTNRL_RETURN_IF_ERROR(Wait(std::min(options_.look_again, kTick)));
    }
  }

  absl::Status WriteAgain() {
    if (!open_ || owned_.commits == number_) return absl::OkStatus();
    ATTNRL_RETURN_IF_ERROR(BeginOnce());
    for (const Written& statement : written_) {
      ATTNRL_RETURN_IF_ERROR(connection_->Send(statement.sql(), statement.values()));
    }
    return absl::OkStatus();
  }

  // Runs `work`, as often as the connection is lost meanwhile, with the open transaction before it
  // (`again`).
  absl::Status Restoring(absl::FunctionRef<absl::Status()> work, bool again = true) {
    if (!fenced_.ok()) return fenced_;
    const absl::Duration deadline = Monotonic() + options_.patience;
    absl::Status status = lost() ? absl::UnavailableError("not connected") : work();
    while (!status.ok() && lost()) {
      status = Reconnect(deadline);
      if (status.ok() && again) status = WriteAgain();
      if (status.ok()) status = work();
      if (!status.ok() && (Monotonic() > deadline || !absl::IsUnavailable(status))) break;
    }
    last_use_ = Monotonic();
    if (absl::IsFailedPrecondition(status)) status = NameOwner();
    if (absl::IsAborted(status)) fenced_ = status;
    // What was refused since the run is open, the connection itself say, is nobody's mistake who
    // asked for something: the caller would undo the transaction here and go on in memory.
    const bool refused = absl::IsInvalidArgument(status) || absl::IsFailedPrecondition(status) ||
                         absl::IsOutOfRange(status);
    return refused ? absl::UnavailableError(status.message()) : status;
  }

  const PostgresOptions options_;
  std::unique_ptr<Connection> connection_;  // null: lost
  Owned owned_;                             // as this process has it; commits that are in
  uint64_t number_ = 0;                     // of the commit that the open transaction will be
  bool open_ = false;
  absl::Status fenced_;           // ABORTED: another process owns the run
  std::vector<Written> written_;  // by the open transaction
  absl::Duration last_use_ = -absl::InfiniteDuration();
};

}  // namespace

absl::StatusOr<std::unique_ptr<SqlDatabase>> OpenPostgresDatabase(const PostgresOptions& options) {
  auto database = std::make_unique<PostgresDatabase>(options);
  ATTNRL_RETURN_IF_ERROR(database->Open());
  return database;
}

}  // namespace attnrl::scheduler::postgres
