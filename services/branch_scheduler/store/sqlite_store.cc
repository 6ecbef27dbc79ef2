// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/database.h"
#include "common/storage/files.h"
#include "services/branch_scheduler/item_id.h"
#include "services/branch_scheduler/store/query.h"
#include "services/branch_scheduler/store/store.h"

namespace attnrl::scheduler {
namespace {

constexpr char kFormat[] = "3";

constexpr char kSchema[] = R"(
CREATE TABLE IF NOT EXISTS run(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS segments(first_batch INTEGER PRIMARY KEY, base INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS batches(batch INTEGER PRIMARY KEY, base INTEGER NOT NULL,
  cursor INTEGER NOT NULL, problems INTEGER NOT NULL, real_size REAL NOT NULL,
  created REAL NOT NULL);
CREATE TABLE IF NOT EXISTS results(item INTEGER PRIMARY KEY, lease INTEGER NOT NULL,
  worker TEXT NOT NULL, payload BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS grades(item INTEGER PRIMARY KEY, grades BLOB NOT NULL,
  start REAL NOT NULL, end REAL NOT NULL);
CREATE TABLE IF NOT EXISTS versions(number INTEGER PRIMARY KEY, digest TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS commits(batch INTEGER PRIMARY KEY, empty INTEGER NOT NULL,
  time REAL NOT NULL, train_start REAL NOT NULL, train_end REAL NOT NULL,
  problems INTEGER NOT NULL, valid INTEGER NOT NULL, solved_sum REAL NOT NULL,
  solved_count INTEGER NOT NULL, metrics TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS checkpoints(step INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS lines(id INTEGER PRIMARY KEY AUTOINCREMENT, file TEXT NOT NULL,
  line TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS lines_of_file ON lines(file, id);
CREATE TABLE IF NOT EXISTS files(file TEXT PRIMARY KEY, bytes INTEGER NOT NULL) WITHOUT ROWID;
)";

// First item number of a batch; those of batch b lie in [FirstItem(b), FirstItem(b + 1)).
int64_t FirstItem(uint32_t batch) {
  return static_cast<int64_t>(IdOf({batch, 0, 0, ItemKind::kInitial}));
}

class SqliteStore final : public Store {
 public:
  SqliteStore(storage::FileLock lock, std::unique_ptr<storage::Database> database)
      : lock_(std::move(lock)), database_(std::move(database)) {}

  absl::Status Prepare() {
    ATTNRL_RETURN_IF_ERROR(database_->Execute(kSchema));
    ATTNRL_ASSIGN_OR_RETURN(std::optional<std::string> format, Get("format"));
    if (!format.has_value()) {
      ATTNRL_RETURN_IF_ERROR(Begin());
      ATTNRL_RETURN_IF_ERROR(Put("format", kFormat));
      return Commit();
    }
    if (*format == kFormat) return absl::OkStatus();
    return InputError(database_->path(), absl::StrCat("database format ", *format),
                      absl::StrCat("this build reads format ", kFormat));
  }

  absl::Status Begin() override {
    ATTNRL_ASSIGN_OR_RETURN(storage::Transaction transaction,
                            storage::Transaction::Begin(database_.get()));
    transaction_.emplace(std::move(transaction));
    return absl::OkStatus();
  }
  absl::Status Commit() override {
    absl::Status status = transaction_->Commit();
    transaction_.reset();
    if (status.ok()) ++commits_;
    return status;
  }
  void Rollback() override { transaction_.reset(); }
  uint64_t commits() const override { return commits_; }

  absl::StatusOr<std::optional<std::string>> Get(const std::string& key) override {
    Query query(*database_, "SELECT value FROM run WHERE key = ?1", key);
    std::optional<std::string> value;
    while (query.Next()) value = query.Text(0);
    if (!query.status().ok()) return query.status();
    return value;
  }
  absl::Status Put(const std::string& key, const std::string& value) override {
    return Run("INSERT OR REPLACE INTO run VALUES(?1, ?2)", key, value);
  }

  absl::StatusOr<std::map<uint32_t, uint32_t>> Segments() override {
    Query query(*database_, "SELECT first_batch, base FROM segments");
    std::map<uint32_t, uint32_t> segments;
    while (query.Next()) segments[query.Number<uint32_t>(0)] = query.Number<uint32_t>(1);
    if (!query.status().ok()) return query.status();
    return segments;
  }
  absl::Status PutSegment(uint32_t first_batch, uint32_t base) override {
    return Run("INSERT OR REPLACE INTO segments VALUES(?1, ?2)", first_batch, base);
  }

  absl::Status PutBatch(const BatchRow& row) override {
    return Run("INSERT INTO batches VALUES(?1, ?2, ?3, ?4, ?5, ?6)", row.batch, row.base,
               row.cursor, row.problems, row.real_size, row.created);
  }
  absl::StatusOr<std::vector<BatchRow>> Batches(uint32_t from) override {
    Query query(
        *database_,
        "SELECT batch, base, cursor, problems, real_size, created FROM batches WHERE batch >= ?1 "
        "ORDER BY batch",
        from);
    std::vector<BatchRow> rows;
    while (query.Next()) {
      rows.push_back(BatchRow{query.Number<uint32_t>(0), query.Number<uint32_t>(1),
                              query.Number<uint64_t>(2), query.Number<uint32_t>(3), query.Real(4),
                              query.Real(5)});
    }
    if (!query.status().ok()) return query.status();
    return rows;
  }
  absl::Status DeleteBatchesFrom(uint32_t batch) override {
    const int64_t first = FirstItem(batch);
    ATTNRL_RETURN_IF_ERROR(Run("DELETE FROM batches WHERE batch >= ?1", batch));
    ATTNRL_RETURN_IF_ERROR(Run("DELETE FROM results WHERE item >= ?1", first));
    return Run("DELETE FROM grades WHERE item >= ?1", first);
  }
  absl::Status ForgetRowsBefore(uint32_t batch, uint32_t version, uint32_t metrics) override {
    ATTNRL_RETURN_IF_ERROR(Run("DELETE FROM batches WHERE batch < ?1", batch));
    ATTNRL_RETURN_IF_ERROR(Run("DELETE FROM versions WHERE number < ?1", version));
    return Run("UPDATE commits SET metrics = '' WHERE batch >= ?1 AND batch < ?2 AND metrics <> ''",
               metrics, batch);
  }
  absl::Status ForgetResultsBefore(uint32_t batch) override {
    const int64_t first = FirstItem(batch);
    ATTNRL_RETURN_IF_ERROR(Run("DELETE FROM results WHERE item < ?1", first));
    return Run("DELETE FROM grades WHERE item < ?1", first);
  }

  absl::Status PutResult(const ResultRow& row) override {
    return Run("INSERT INTO results VALUES(?1, ?2, ?3, ?4)", row.item, row.lease, row.worker,
               Blob{row.payload});
  }
  absl::Status PutGrades(ItemId item, const std::string& grades, const Span& grading) override {
    return Run("INSERT INTO grades VALUES(?1, ?2, ?3, ?4)", item, Blob{grades}, grading.start,
               grading.end);
  }
  absl::Status DeleteResult(ItemId item) override {
    ATTNRL_RETURN_IF_ERROR(Run("DELETE FROM results WHERE item = ?1", item));
    return DeleteGrades(item);
  }
  absl::Status DeleteGrades(ItemId item) override {
    return Run("DELETE FROM grades WHERE item = ?1", item);
  }
  absl::StatusOr<std::vector<ResultRow>> Results(uint32_t batch) override {
    Query query(*database_,
                "SELECT results.item, lease, worker, payload, grades, start, end FROM results "
                "LEFT JOIN grades ON grades.item = results.item "
                "WHERE results.item >= ?1 AND results.item < ?2 ORDER BY results.item",
                FirstItem(batch), FirstItem(batch + 1));
    std::vector<ResultRow> rows;
    while (query.Next()) {
      ResultRow row;
      row.item = ItemId{query.Number<uint64_t>(0)};
      row.lease = LeaseId{query.Number<uint64_t>(1)};
      row.worker = query.Text(2);
      row.payload = query.Bytes(3);
      if (!query.IsNull(4)) row.grades = query.Bytes(4);
      row.grading = Span{query.Real(5), query.Real(6)};
      rows.push_back(std::move(row));
    }
    if (!query.status().ok()) return query.status();
    return rows;
  }
  absl::StatusOr<std::optional<LeaseId>> LeaseOfResult(ItemId item) override {
    Query query(*database_, "SELECT lease FROM results WHERE item = ?1", item);
    std::optional<LeaseId> lease;
    while (query.Next()) lease = LeaseId{query.Number<uint64_t>(0)};
    if (!query.status().ok()) return query.status();
    return lease;
  }

  absl::StatusOr<std::map<uint32_t, std::string>> Versions() override {
    Query query(*database_, "SELECT number, digest FROM versions");
    std::map<uint32_t, std::string> versions;
    while (query.Next()) versions[query.Number<uint32_t>(0)] = query.Text(1);
    if (!query.status().ok()) return query.status();
    return versions;
  }
  absl::Status PutVersion(const Version& version) override {
    return Run("INSERT INTO versions VALUES(?1, ?2)", version.number, version.digest);
  }

  absl::StatusOr<std::vector<CommitRow>> Commits() override {
    Query query(*database_,
                "SELECT batch, empty, time, train_start, train_end, problems, valid, solved_sum, "
                "solved_count, "
                "CASE WHEN batch = (SELECT max(batch) FROM commits) THEN metrics ELSE '' END "
                "FROM commits ORDER BY batch");
    std::vector<CommitRow> rows;
    while (query.Next()) {
      rows.push_back(CommitRow{
          query.Number<uint32_t>(0), query.Number<int>(1) != 0, query.Real(2),
          Span{query.Real(3), query.Real(4)}, query.Number<uint32_t>(5), query.Number<uint32_t>(6),
          tree::RunningMean{query.Real(7), query.Number<int64_t>(8)}, query.Text(9)});
    }
    if (!query.status().ok()) return query.status();
    return rows;
  }
  absl::Status PutCommit(const CommitRow& row) override {
    return Run("INSERT INTO commits VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)", row.batch,
               row.empty ? 1 : 0, row.time, row.train.start, row.train.end, row.problems, row.valid,
               row.solved.sum, row.solved.count, row.metrics);
  }
  absl::StatusOr<std::vector<std::string>> MetricsBefore(uint32_t batch) override {
    Query query(*database_, "SELECT metrics FROM commits WHERE batch < ?1 ORDER BY batch", batch);
    std::vector<std::string> lines;
    while (query.Next()) lines.push_back(query.Text(0));
    if (!query.status().ok()) return query.status();
    return lines;
  }

  absl::StatusOr<std::vector<uint32_t>> Checkpoints() override {
    Query query(*database_, "SELECT step FROM checkpoints ORDER BY step");
    std::vector<uint32_t> steps;
    while (query.Next()) steps.push_back(query.Number<uint32_t>(0));
    if (!query.status().ok()) return query.status();
    return steps;
  }
  absl::Status PutCheckpoint(uint32_t step) override {
    return Run("INSERT OR IGNORE INTO checkpoints VALUES(?1)", step);
  }

  absl::Status AddLine(const std::string& file, const std::string& line) override {
    return Run("INSERT INTO lines(file, line) VALUES(?1, ?2)", file, line);
  }
  absl::StatusOr<std::vector<JournalRow>> LinesAfter(const std::string& file, int64_t id) override {
    Query query(*database_, "SELECT id, line FROM lines WHERE file = ?1 AND id > ?2 ORDER BY id",
                file, id);
    std::vector<JournalRow> rows;
    while (query.Next()) rows.push_back(JournalRow{query.Number<int64_t>(0), query.Text(1)});
    if (!query.status().ok()) return query.status();
    return rows;
  }
  absl::StatusOr<int64_t> SettledBytes(const std::string& file) override {
    Query query(*database_, "SELECT bytes FROM files WHERE file = ?1", file);
    int64_t bytes = 0;
    while (query.Next()) bytes = query.Number<int64_t>(0);
    if (!query.status().ok()) return query.status();
    return bytes;
  }
  absl::Status Settle(const std::string& file, int64_t id, int64_t bytes) override {
    ATTNRL_RETURN_IF_ERROR(Run("DELETE FROM lines WHERE file = ?1 AND id <= ?2", file, id));
    return Run("INSERT OR REPLACE INTO files VALUES(?1, ?2)", file, bytes);
  }

 private:
  template <typename... Values>
  absl::Status Run(const char* sql, const Values&... values) {
    Query query(*database_, sql, values...);
    while (query.Next()) {
    }
    return query.status();
  }

  storage::FileLock lock_;
  std::unique_ptr<storage::Database> database_;
  std::optional<storage::Transaction> transaction_;  // while one is open; ends before the database
  uint64_t commits_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenStore(const std::string& path) {
  ATTNRL_ASSIGN_OR_RETURN(storage::FileLock lock,
                          storage::FileLock::AcquireFile(path + ".lock", path));
  ATTNRL_ASSIGN_OR_RETURN(std::unique_ptr<storage::Database> database,
                          storage::Database::Open(path));
  auto store = std::make_unique<SqliteStore>(std::move(lock), std::move(database));
  ATTNRL_RETURN_IF_ERROR(store->Prepare());
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace attnrl::scheduler
