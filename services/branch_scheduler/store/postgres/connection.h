// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/branch_scheduler/store/sql_database.h"

struct pg_conn;
struct pg_result;

namespace attnrl::scheduler::postgres {

struct ConnectionOptions {
  std::string url = {};   // as libpq takes it, without a password
  std::string name = {};  // for people
  absl::Duration connect = absl::Seconds(10);
  absl::Duration statement = absl::Seconds(30);
  // The server ends a session that says nothing for so long, and with it what it has locked.
  absl::Duration idle = absl::Seconds(30);
};

// What a statement gave. Rows count from 0.
class Result {
 public:
  explicit Result(pg_result* result);

  int rows() const;
  // Rows that were changed.
  int64_t changed() const;
  // The command as the server names it, e.g. COMMIT.
  std::string command() const;
  // Of a result in binary format, as statements with parameters give it; and of one in text.
  std::unique_ptr<SqlRow> Row(int row) const;
  std::string Text(int row, int column) const;

 private:
  struct Clear {
    void operator()(pg_result* result) const;
  };
  std::unique_ptr<pg_result, Clear> result_;
};

// One connection over libpq, every wait of which has a deadline. Errors are one line that names the
// database. Codes: UNAVAILABLE the connection is lost and nothing is known of what became of the
// statement; RESOURCE_EXHAUSTED the server's disk is full; DATA_LOSS its data is damaged; INTERNAL
// the rest. Not thread-safe.
class Connection {
 public:
  // UNAVAILABLE where no server answers, or one that can't serve yet; InputError where it refuses.
  static absl::StatusOr<std::unique_ptr<Connection>> Connect(const ConnectionOptions& options);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Parameters are $1, $2, ...; the server prepares each text of a statement once.
  absl::StatusOr<Result> Run(const std::string& sql, const std::vector<SqlValue>& values);
  // Statements without parameters; the result of the last one, as text.
  absl::StatusOr<Result> Run(const std::string& script);
  // Of no use any more.
  bool lost() const { return lost_; }

 private:
  Connection(const ConnectionOptions& options, pg_conn* handle)
      : options_(options), handle_(handle) {}
  absl::Status Configure();
  absl::StatusOr<Result> Await();
  // Waits until the socket can be read, or also written.
  absl::Status Poll(bool also_write, absl::Time deadline);
  absl::Status Lost(const std::string& reason);
  absl::Status Failure(const pg_result* result);

  const ConnectionOptions options_;
  pg_conn* const handle_;
  std::map<std::string, std::string> prepared_;  // name of a statement, by its text
  bool lost_ = false;
};

}  // namespace attnrl::scheduler::postgres
