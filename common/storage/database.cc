// SPDX-License-Identifier: Apache-2.0
#include "common/storage/database.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/file_error.h"

namespace attnrl::storage {
namespace {

constexpr int kBusyMilliseconds = 5000;

absl::Status SqliteError(int code, const std::string& message) {
  switch (code & 0xff) {
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(message + ": the disk is full");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(message);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::UnavailableError(message);
    case SQLITE_CONSTRAINT:
      return absl::AlreadyExistsError(message);
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
      return absl::PermissionDeniedError(message);
    default:
      return absl::InternalError(message);
  }
}

// SQLite reports a full disk under a WAL as an I/O error; the errno below it tells.
int RealCode(sqlite3* handle, int code) {
  const int error = handle == nullptr ? 0 : sqlite3_system_errno(handle);
  const bool full = (code & 0xff) == SQLITE_IOERR && (error == ENOSPC || error == EDQUOT);
  return full ? SQLITE_FULL : code;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& path) {
  // Made here first, so that nobody else can read it: SQLite would use the umask.
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return FileError(path, "opening the database", errno);
  ::close(descriptor);
  sqlite3* handle = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<Database> database(new Database(path, handle));
  if (code != SQLITE_OK) return database->Error(code, "opening the database");
  ATTNRL_RETURN_IF_ERROR(database->Configure());
  return database;
}

absl::Status Database::Configure() {
  sqlite3_extended_result_codes(handle_, 1);
  sqlite3_busy_timeout(handle_, kBusyMilliseconds);
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  ATTNRL_RETURN_IF_ERROR(Execute("PRAGMA cell_size_check=ON"));
  ATTNRL_ASSIGN_OR_RETURN(Statement check, Prepare("PRAGMA quick_check(1)"));
  ATTNRL_ASSIGN_OR_RETURN(const bool answered, check.Step());
  if (!answered || check.Text(0) != "ok") {
    return absl::DataLossError(absl::StrCat(
        path_, ": the database is damaged: ", OneLine(answered ? check.Text(0) : "no answer")));
  }
  check.Reset();
  ATTNRL_RETURN_IF_ERROR(Execute("PRAGMA journal_mode=WAL"));
  ATTNRL_RETURN_IF_ERROR(Execute("PRAGMA synchronous=FULL"));
  return Execute("PRAGMA foreign_keys=ON");
}

Database::~Database() { sqlite3_close_v2(handle_); }

absl::Status Database::Error(int code, std::string_view doing) const {
  const char* text = handle_ == nullptr ? "out of memory" : sqlite3_errmsg(handle_);
  return SqliteError(RealCode(handle_, code),
                     absl::StrCat(path_, ": ", std::string(doing), " failed: ", text));
}

absl::Status Database::Execute(const std::string& sql) {
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : Error(code, OneLine(sql, 80));
}

absl::StatusOr<Statement> Database::Prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return Error(code, absl::StrCat("preparing ", OneLine(sql, 80)));
  return Statement(this, statement);
}

void Database::Rollback() {
  // Some errors (a full disk among them) have already rolled back.
  if (sqlite3_get_autocommit(handle_) == 0) {
    sqlite3_exec(handle_, "ROLLBACK", nullptr, nullptr, nullptr);
  }
}

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_),
      statement_(std::exchange(other.statement_, nullptr)),
      bind_error_(other.bind_error_) {}

Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(database_, other.database_);
  std::swap(statement_, other.statement_);
  std::swap(bind_error_, other.bind_error_);
  return *this;
}

Statement::~Statement() { sqlite3_finalize(statement_); }

Statement& Statement::Keep(int code) {
  if (bind_error_ == SQLITE_OK) bind_error_ = code;
  return *this;
}

Statement& Statement::BindInt(int index, int64_t value) {
  return Keep(sqlite3_bind_int64(statement_, index, value));
}

Statement& Statement::Bind(int index, double value) {
  return Keep(sqlite3_bind_double(statement_, index, value));
}

Statement& Statement::Bind(int index, std::string_view text) {
  // A null pointer would bind NULL instead of no text.
  const char* data = text.empty() ? "" : text.data();
  return Keep(
      sqlite3_bind_text64(statement_, index, data, text.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
}

Statement& Statement::BindBlob(int index, std::string_view bytes) {
  const char* data = bytes.empty() ? "" : bytes.data();
  return Keep(sqlite3_bind_blob64(statement_, index, data, bytes.size(), SQLITE_TRANSIENT));
}

absl::StatusOr<bool> Statement::Step() {
  if (bind_error_ != SQLITE_OK) {
    return absl::InternalError(absl::StrCat(
        database_->path(), ": binding a parameter failed: ", sqlite3_errstr(bind_error_)));
  }
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  const absl::Status status = code == SQLITE_DONE
                                  ? absl::OkStatus()
                                  : database_->Error(code, OneLine(sqlite3_sql(statement_), 80));
  sqlite3_reset(statement_);
  if (!status.ok()) return status;
  return false;
}

absl::Status Statement::Run() {
  absl::StatusOr<bool> row = Step();
  while (row.ok() && *row) row = Step();
  Reset();
  return row.status();
}

void Statement::Reset() {
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
  bind_error_ = SQLITE_OK;
}

bool Statement::IsNull(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

int64_t Statement::Int(int column) const { return sqlite3_column_int64(statement_, column); }
double Statement::Double(int column) const { return sqlite3_column_double(statement_, column); }

std::string Statement::Text(int column) const { return Blob(column); }

std::string Statement::Blob(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return data == nullptr ? std::string()
                         : std::string(static_cast<const char*>(data), static_cast<size_t>(size));
}

absl::StatusOr<Transaction> Transaction::Begin(Database* database) {
  ATTNRL_RETURN_IF_ERROR(database->Execute("BEGIN IMMEDIATE"));
  return Transaction(database);
}

Transaction::~Transaction() {
  if (database_ != nullptr) database_->Rollback();
}

absl::Status Transaction::Commit() {
  absl::Status status = database_->Execute("COMMIT");
  if (!status.ok()) database_->Rollback();
  database_ = nullptr;
  return status;
}

}  // namespace attnrl::storage
