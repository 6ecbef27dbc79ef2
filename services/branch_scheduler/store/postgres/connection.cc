// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/store/postgres/connection.h"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "services/branch_scheduler/store/postgres/password_file.h"

namespace attnrl::scheduler::postgres {
namespace {

// Object identifiers of the server's types.
constexpr Oid kInt8 = 20, kFloat8 = 701, kText = 25, kBytea = 17;
constexpr int kBinary = 1;
constexpr int kOldestServer = 140000;  // has idle_session_timeout
// The server's own deadline comes first, so that its error names the statement.
constexpr double kAnswerDelay = 1.2;

uint64_t BigEndian(uint64_t number) {
  if constexpr (std::endian::native == std::endian::little) return __builtin_bswap64(number);
  return number;
}

// Parameters as libpq takes them.
struct Bound {
  explicit Bound(const std::vector<SqlValue>& values) {
    numbers.reserve(values.size());  // pointers into it stay valid
    for (const SqlValue& value : values) std::visit([&](const auto& v) { Add(v); }, value);
  }
  void Add(int64_t value) { AddNumber(kInt8, std::bit_cast<uint64_t>(value)); }
  void Add(double value) { AddNumber(kFloat8, std::bit_cast<uint64_t>(value)); }
  void Add(std::string_view text) { AddBytes(kText, text); }
  void Add(Blob blob) { AddBytes(kBytea, blob.bytes); }
  void AddNumber(Oid type, uint64_t bits) {
    numbers.push_back(BigEndian(bits));
    AddBytes(type, {reinterpret_cast<const char*>(&numbers.back()), sizeof(uint64_t)});
  }
  void AddBytes(Oid type, std::string_view bytes) {
    types.push_back(type);
    data.push_back(bytes.empty() ? "" : bytes.data());  // a null pointer would be NULL
    lengths.push_back(static_cast<int>(bytes.size()));
    size += bytes.size();
    formats.push_back(kBinary);
  }

  std::vector<uint64_t> numbers;
  std::vector<Oid> types;
  std::vector<const char*> data;
  std::vector<int> lengths, formats;
  size_t size = 0;  // of all of them, in bytes
};

class BinaryRow final : public SqlRow {
 public:
  BinaryRow(const PGresult* result, int row) : result_(result), row_(row) {}
  int64_t Int(int column) const override { return std::bit_cast<int64_t>(Bits(column)); }
  double Real(int column) const override { return std::bit_cast<double>(Bits(column)); }
  std::string Bytes(int column) const override {
    return {PQgetvalue(result_, row_, column),
            static_cast<size_t>(PQgetlength(result_, row_, column))};
  }
  bool IsNull(int column) const override { return PQgetisnull(result_, row_, column) != 0; }

 private:
  // 0 for NULL, as SQLite has it.
  uint64_t Bits(int column) const {
    uint64_t bits = 0;
    if (PQgetlength(result_, row_, column) == sizeof(bits)) {
      std::memcpy(&bits, PQgetvalue(result_, row_, column), sizeof(bits));
    }
    return BigEndian(bits);
  }

  const PGresult* result_;
  int row_;
};

// libpq's messages have several lines.
std::string Line(const char* message) {
  std::string line = message == nullptr ? "" : message;
  std::replace_if(line.begin(), line.end(), absl::ascii_isspace, ' ');
  absl::RemoveExtraAsciiWhitespace(&line);
  return OneLine(line, 400);
}

std::string Milliseconds(absl::Duration duration) {
  return absl::StrCat("'", absl::ToInt64Milliseconds(duration), "ms'");
}

}  // namespace

Result::Result(pg_result* result) : result_(result) {}
void Result::Clear::operator()(pg_result* result) const { PQclear(result); }
int Result::rows() const { return PQntuples(result_.get()); }
std::string Result::command() const { return PQcmdStatus(result_.get()); }
std::unique_ptr<SqlRow> Result::Row(int row) const {
  return std::make_unique<BinaryRow>(result_.get(), row);
}
std::string Result::Text(int row, int column) const {
  return PQgetvalue(result_.get(), row, column);
}

absl::StatusOr<std::unique_ptr<Connection>> Connection::Connect(const ConnectionOptions& options) {
  ATTNRL_ASSIGN_OR_RETURN(const PasswordFile passwords, PasswordFile::Copy());
  const std::string timeout = absl::StrCat(absl::ToInt64Seconds(options.connect));
  // What stands behind the URL wins.
  const std::vector<std::pair<const char*, const char*>> parameters = {
      {"dbname", options.url.c_str()},
      {"passfile", passwords.path().empty() ? nullptr : passwords.path().c_str()},
      {"connect_timeout", timeout.c_str()},
      {"client_encoding", "UTF8"},
      {"application_name", "attnrl-branch-scheduler"},
      {"keepalives", "1"},
      {"keepalives_idle", "10"},
      {"keepalives_interval", "5"},
      {"keepalives_count", "3"},
      {"tcp_user_timeout", "30000"}};
  std::vector<const char*> keys, values;
  for (const auto& [key, value] : parameters) {
    keys.push_back(key);
    values.push_back(value);
  }
  keys.push_back(nullptr);
  values.push_back(nullptr);
  std::unique_ptr<Connection> connection(
      new Connection(options, PQconnectdbParams(keys.data(), values.data(), /*expand_dbname=*/1)));
  if (PQstatus(connection->handle_) == CONNECTION_OK) {
    ATTNRL_RETURN_IF_ERROR(connection->Configure());
    return connection;
  }
  const std::string reason = Line(PQerrorMessage(connection->handle_));
  // A server that answers others refuses this one for what it was told.
  if (PQpingParams(keys.data(), values.data(), /*expand_dbname=*/1) == PQPING_OK) {
    return InputError(options.name, absl::StrCat("refuses the connection: ", reason),
                      "scheduler.store and the file that PGPASSFILE names must fit the server");
  }
  return absl::UnavailableError(absl::StrCat(options.name, " can't be reached: ", reason));
}

absl::Status Connection::Configure() {
  PQsetnonblocking(handle_, 1);
  // Errors come with their statements; notices would go to stderr.
  PQsetNoticeProcessor(
      handle_, [](void*, const char*) {}, nullptr);
  if (PQserverVersion(handle_) < kOldestServer) {
    return InputError(options_.name, absl::StrCat("is of version ", PQserverVersion(handle_)),
                      "PostgreSQL 14 or newer is needed");
  }
  ATTNRL_RETURN_IF_ERROR(
      Run(absl::StrCat("SET statement_timeout = ", Milliseconds(options_.statement),
                       "; SET idle_session_timeout = ", Milliseconds(options_.idle),
                       "; SET idle_in_transaction_session_timeout = ", Milliseconds(options_.idle)))
          .status());
  ATTNRL_ASSIGN_OR_RETURN(const Result facts,
                          Run("SELECT current_setting('server_encoding'), pg_is_in_recovery(), "
                              "current_setting('synchronous_commit')"));
  if (facts.Text(0, 0) != "UTF8") {
    return InputError(options_.name, absl::StrCat("has the encoding ", facts.Text(0, 0)),
                      "a database with the encoding UTF8 is needed");
  }
  if (facts.Text(0, 1) == "t") {
    return absl::UnavailableError(absl::StrCat(options_.name, " is a replica that can't write"));
  }
  if (facts.Text(0, 2) != "off") return absl::OkStatus();
  // What a commit has returned OK for must be on the server's disk.
  return Run("SET synchronous_commit = on").status();
}

Connection::~Connection() { PQfinish(handle_); }

absl::Status Connection::Send(const std::string& sql, const std::vector<SqlValue>& values) {
  if (unanswered_bytes_ >= options_.unanswered_bytes) ATTNRL_RETURN_IF_ERROR(Collect());
  if (unanswered_.empty() && PQenterPipelineMode(handle_) == 0) {
    return Lost(PQerrorMessage(handle_));
  }
  const Bound bound(values);
  const int count = static_cast<int>(values.size());
  auto prepared = prepared_.find(sql);
  if (prepared == prepared_.end()) {
    prepared = prepared_.emplace(sql, absl::StrCat("s", names_++)).first;
    if (PQsendPrepare(handle_, prepared->second.c_str(), sql.c_str(), count, bound.types.data()) ==
        0) {
      return Lost(PQerrorMessage(handle_));
    }
    unanswered_.push_back(sql);
  }
  if (PQsendQueryPrepared(handle_, prepared->second.c_str(), count, bound.data.data(),
                          bound.lengths.data(), bound.formats.data(), kBinary) == 0) {
    return Lost(PQerrorMessage(handle_));
  }
  unanswered_.push_back(sql);
  unanswered_bytes_ += sql.size() + bound.size;
  return absl::OkStatus();
}

absl::StatusOr<Result> Connection::Run(const std::string& sql,
                                       const std::vector<SqlValue>& values) {
  ATTNRL_RETURN_IF_ERROR(Send(sql, values));
  return Await();
}

absl::Status Connection::Collect() {
  return unanswered_.empty() ? absl::OkStatus() : Await().status();
}

absl::StatusOr<Result> Connection::Run(const std::string& script) {
  ATTNRL_RETURN_IF_ERROR(Collect());
  if (PQsendQuery(handle_, script.c_str()) == 0) return Lost(PQerrorMessage(handle_));
  return Await();
}

absl::Status Connection::Poll(bool also_write, absl::Duration deadline) {
  pollfd socket = {PQsocket(handle_), static_cast<short>(also_write ? POLLIN | POLLOUT : POLLIN),
                   0};
  const int64_t left = absl::ToInt64Milliseconds(deadline - Clock::Real().Monotonic());
  const int ready = left <= 0 ? 0 : ::poll(&socket, 1, static_cast<int>(left));
  if (ready < 0 && errno != EINTR) return Lost(std::strerror(errno));
  return ready == 0 ? Lost("no answer in time") : absl::OkStatus();
}

absl::StatusOr<pg_result*> Connection::Next() {
  const absl::Duration deadline = Clock::Real().Monotonic() + options_.statement * kAnswerDelay;
  for (;;) {
    const int unsent = PQflush(handle_);
    if (unsent < 0) return Lost(PQerrorMessage(handle_));
    if (unsent == 0 && PQisBusy(handle_) == 0) return PQgetResult(handle_);
    ATTNRL_RETURN_IF_ERROR(Poll(unsent > 0, deadline));
    if (PQconsumeInput(handle_) == 0) return Lost(PQerrorMessage(handle_));
  }
}

absl::StatusOr<Result> Connection::Await() {
  const std::vector<std::string> sent = std::exchange(unanswered_, {});
  unanswered_bytes_ = 0;
  if (!sent.empty() && PQpipelineSync(handle_) == 0) return Lost(PQerrorMessage(handle_));
  std::optional<Result> last;
  absl::Status failure;
  for (size_t answered = 0;;) {
    ATTNRL_ASSIGN_OR_RETURN(pg_result* const next, Next());
    if (next == nullptr) {
      if (sent.empty()) break;
      if (++answered > sent.size()) return Lost("an answer to nothing");
      continue;
    }
    Result result(next);
    const ExecStatusType status = PQresultStatus(next);
    if (status == PGRES_PIPELINE_SYNC) {
      if (PQexitPipelineMode(handle_) == 0) return Lost(PQerrorMessage(handle_));
      break;
    }
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && failure.ok()) {
      failure = Failure(next, answered < sent.size() ? sent[answered] : "");
      if (lost_) return failure;
    }
    last.emplace(std::move(result));
  }
  // What was to be prepared behind the error was not.
  if (!failure.ok()) prepared_.clear();
  if (!failure.ok()) return failure;
  if (!last) return Lost("no answer");
  return *std::move(last);
}

absl::Status Connection::Lost(const std::string& reason) {
  lost_ = true;
  return absl::UnavailableError(
      absl::StrCat(options_.name, ": the connection is lost: ", Line(reason.c_str())));
}

absl::Status Connection::Failure(const pg_result* result, const std::string& sql) {
  const char* field = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const std::string code = field == nullptr ? "" : field;
  const char* primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  const std::string text = Line(primary == nullptr ? PQresultErrorMessage(result) : primary);
  // Shutdown, a replica, a deadline of a statement or a lock: another connection may do better.
  const bool passes = code.empty() || code.starts_with("08") || code.starts_with("57") ||
                      code == "25006" || code == "25P03" || code == "55P03" || code == "40P01" ||
                      code == "40001";
  if (passes || PQstatus(handle_) != CONNECTION_OK) return Lost(text);
  const std::string message =
      absl::StrCat(options_.name, ": ", sql.empty() ? "" : absl::StrCat(OneLine(sql, 80), ": "),
                   text, " (SQLSTATE ", code, ")");
  if (code == "23505") return absl::AlreadyExistsError(message);
  if (code == "23502") return absl::FailedPreconditionError(message);
  if (code == "53100") return absl::ResourceExhaustedError(message + "; the server's disk is full");
  if (code.starts_with("XX00")) return absl::DataLossError(message);
  if (code == "42501") {
    return InputError(options_.name, text, "its user must own the run's schema, or may create one");
  }
  return absl::InternalError(message);
}

}  // namespace attnrl::scheduler::postgres
