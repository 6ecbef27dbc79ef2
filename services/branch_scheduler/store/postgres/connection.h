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
  // Of statements that were sent without waiting for their answers; more waits.
  size_t unanswered_bytes = size_t{1} << 20;
};

// What a statement gave. Rows count from 0.
class Result {
 public:
  explicit Result(pg_result* result);

  int rows() const;
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
// database, and the statement. Codes: UNAVAILABLE the connection is lost and nothing is known of
// what became of the statement; ALREADY_EXISTS a row with this key is there; FAILED_PRECONDITION a
// column's value is missing; RESOURCE_EXHAUSTED the server's disk is full; DATA_LOSS its data is
// damaged; INTERNAL the rest. Not thread-safe.
class Connection {
 public:
  // UNAVAILABLE where no server answers, or one that can't serve yet; InputError where it refuses.
  static absl::StatusOr<std::unique_ptr<Connection>> Connect(const ConnectionOptions& options);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Parameters are $1, $2, ...; the server prepares each text of a statement once. Doesn't wait for
  // the answer: its error comes from whatever next call waits, and the statements that were sent
  // behind it are not run. What `values` points to may end with the call.
  absl::Status Send(const std::string& sql, const std::vector<SqlValue>& values);
  // Waits for all answers: that of the statement sent last, or the first error.
  absl::StatusOr<Result> Run(const std::string& sql, const std::vector<SqlValue>& values);
  // Waits for the answers to what was sent, and drops them.
  absl::Status Collect();
  // Statements without parameters; the result of the last one, as text.
  absl::StatusOr<Result> Run(const std::string& script);
  // Of no use any more.
  bool lost() const { return lost_; }

 private:
  Connection(const ConnectionOptions& options, pg_conn* handle)
      : options_(options), handle_(handle) {}
  absl::Status Configure();
  // The answers to what was sent, in a pipeline or as one script.
  absl::StatusOr<Result> Await();
  // The next part of an answer; null: there is no more of this statement's.
  absl::StatusOr<pg_result*> Next();
  // Waits until the socket can be read, or also written.
  absl::Status Poll(bool also_write, absl::Duration deadline);
  absl::Status Lost(const std::string& reason);
  absl::Status Failure(const pg_result* result, const std::string& sql);

  const ConnectionOptions options_;
  pg_conn* const handle_;
  std::map<std::string, std::string> prepared_;  // name of a statement, by its text
  uint64_t names_ = 0;
  // Sent and not answered yet: texts, a statement that is prepared has two. Empty: the connection
  // is in no pipeline.
  std::vector<std::string> unanswered_;
  size_t unanswered_bytes_ = 0;
  bool lost_ = false;
};

}  // namespace attnrl::scheduler::postgres
