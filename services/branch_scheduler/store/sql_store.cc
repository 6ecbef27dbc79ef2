// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/store/sql_store.h"

#include <concepts>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "services/branch_scheduler/item_id.h"

namespace attnrl::scheduler {
namespace {

constexpr char kFormat[] = "3";

// First item number of a batch; those of batch b lie in [FirstItem(b), FirstItem(b + 1)).
int64_t FirstItem(uint32_t batch) {
  return static_cast<int64_t>(IdOf({batch, 0, 0, ItemKind::kInitial}));
}

// What a statement's parameters are bound to.
SqlValue ValueOf(std::integral auto number) { return static_cast<int64_t>(number); }
template <typename Id>
requires std::is_enum_v<Id> SqlValue ValueOf(Id id) { return static_cast<int64_t>(id); }
SqlValue ValueOf(double number) { return number; }
SqlValue ValueOf(const std::string& text) { return std::string_view(text); }
SqlValue ValueOf(Blob blob) { return blob; }

template <std::integral T>
T Number(const SqlRow& row, int column) {
  return static_cast<T>(row.Int(column));
}

class SqlStore final : public Store {
 public:
  explicit SqlStore(std::unique_ptr<SqlDatabase> database) : database_(std::move(database)) {}

  absl::Status Prepare() {
    ATTNRL_ASSIGN_OR_RETURN(std::optional<std::string> format, Get("format"));
    if (!format.has_value()) {
      ATTNRL_RETURN_IF_ERROR(Begin());
      ATTNRL_RETURN_IF_ERROR(Put("format", kFormat));
      return Commit();
    }
    if (*format == kFormat) return absl::OkStatus();
    return InputError(database_->name(), absl::StrCat("database format ", *format),
                      absl::StrCat("this build reads format ", kFormat));
  }

  absl::Status Begin() override { return database_->Begin(); }
  absl::Status Commit() override {
    ATTNRL_RETURN_IF_ERROR(database_->Commit());
    ++commits_;
    return absl::OkStatus();
  }
  void Rollback() override { database_->Rollback(); }
  absl::Status KeepAlive() override { return database_->KeepAlive(); }
  uint64_t commits() const override { return commits_; }

  absl::StatusOr<std::optional<std::string>> Get(const std::string& key) override {
    std::optional<std::string> value;
    ATTNRL_RETURN_IF_ERROR(Read(
        "SELECT value FROM run WHERE key = ?1", [&](const SqlRow& row) { value = row.Bytes(0); },
        key));
    return value;
  }
  absl::Status Put(const std::string& key, const std::string& value) override {
    return Run(
        "INSERT INTO run VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value = excluded.value", key,
        value);
  }

  absl::StatusOr<std::map<uint32_t, uint32_t>> Segments() override {
    std::map<uint32_t, uint32_t> segments;
    ATTNRL_RETURN_IF_ERROR(Read("SELECT first_batch, base FROM segments", [&](const SqlRow& row) {
      segments[Number<uint32_t>(row, 0)] = Number<uint32_t>(row, 1);
    }));
    return segments;
  }
  absl::Status PutSegment(uint32_t first_batch, uint32_t base) override {
    return Run(
        "INSERT INTO segments VALUES(?1, ?2) ON CONFLICT(first_batch) DO UPDATE SET base = "
        "excluded.base",
        first_batch, base);
  }

  absl::Status PutBatch(const BatchRow& row) override {
    return Run("INSERT INTO batches VALUES(?1, ?2, ?3, ?4, ?5, ?6)", row.batch, row.base,
               row.cursor, row.problems, row.real_size, row.created);
  }
  absl::StatusOr<std::vector<BatchRow>> Batches(uint32_t from) override {
    std::vector<BatchRow> rows;
    ATTNRL_RETURN_IF_ERROR(Read(
        "SELECT batch, base, cursor, problems, real_size, created FROM batches WHERE batch >= ?1 "
        "ORDER BY batch",
        [&](const SqlRow& row) {
          rows.push_back(BatchRow{Number<uint32_t>(row, 0), Number<uint32_t>(row, 1),
                                  Number<uint64_t>(row, 2), Number<uint32_t>(row, 3), row.Real(4),
                                  row.Real(5)});
        },
        from));
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
    std::vector<ResultRow> rows;
    ATTNRL_RETURN_IF_ERROR(Read(
        "SELECT results.item, lease, worker, payload, grades, start, \"end\" FROM results "
        "LEFT JOIN grades ON grades.item = results.item "
        "WHERE results.item >= ?1 AND results.item < ?2 ORDER BY results.item",
        [&](const SqlRow& row) {
          ResultRow result;
          result.item = ItemId{Number<uint64_t>(row, 0)};
          result.lease = LeaseId{Number<uint64_t>(row, 1)};
          result.worker = row.Bytes(2);
          result.payload = row.Bytes(3);
          if (!row.IsNull(4)) result.grades = row.Bytes(4);
          result.grading = Span{row.Real(5), row.Real(6)};
          rows.push_back(std::move(result));
        },
        FirstItem(batch), FirstItem(batch + 1)));
    return rows;
  }
  absl::StatusOr<std::optional<LeaseId>> LeaseOfResult(ItemId item) override {
    std::optional<LeaseId> lease;
    ATTNRL_RETURN_IF_ERROR(Read(
        "SELECT lease FROM results WHERE item = ?1",
        [&](const SqlRow& row) { lease = LeaseId{Number<uint64_t>(row, 0)}; }, item));
    return lease;
  }

  absl::StatusOr<std::map<uint32_t, std::string>> Versions() override {
    std::map<uint32_t, std::string> versions;
    ATTNRL_RETURN_IF_ERROR(Read("SELECT number, digest FROM versions", [&](const SqlRow& row) {
      versions[Number<uint32_t>(row, 0)] = row.Bytes(1);
    }));
    return versions;
  }
  absl::Status PutVersion(const Version& version) override {
    return Run("INSERT INTO versions VALUES(?1, ?2)", version.number, version.digest);
  }

  absl::StatusOr<std::vector<CommitRow>> Commits() override {
    std::vector<CommitRow> rows;
    ATTNRL_RETURN_IF_ERROR(Read(
        "SELECT batch, empty, time, train_start, train_end, problems, valid, solved_sum, "
        "solved_count, "
        "CASE WHEN batch = (SELECT max(batch) FROM commits) THEN metrics ELSE '' END "
        "FROM commits ORDER BY batch",
        [&](const SqlRow& row) {
          rows.push_back(CommitRow{
              Number<uint32_t>(row, 0), Number<int>(row, 1) != 0, row.Real(2),
              Span{row.Real(3), row.Real(4)}, Number<uint32_t>(row, 5), Number<uint32_t>(row, 6),
              tree::RunningMean{row.Real(7), Number<int64_t>(row, 8)}, row.Bytes(9)});
        }));
    return rows;
  }
  absl::Status PutCommit(const CommitRow& row) override {
    return Run("INSERT INTO commits VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)", row.batch,
               row.empty ? 1 : 0, row.time, row.train.start, row.train.end, row.problems, row.valid,
               row.solved.sum, row.solved.count, row.metrics);
  }
  absl::StatusOr<std::vector<std::string>> MetricsBefore(uint32_t batch) override {
    std::vector<std::string> lines;
    ATTNRL_RETURN_IF_ERROR(Read(
        "SELECT metrics FROM commits WHERE batch < ?1 ORDER BY batch",
        [&](const SqlRow& row) { lines.push_back(row.Bytes(0)); }, batch));
    return lines;
  }

  absl::StatusOr<std::vector<uint32_t>> Checkpoints() override {
    std::vector<uint32_t> steps;
    ATTNRL_RETURN_IF_ERROR(
        Read("SELECT step FROM checkpoints ORDER BY step",
             [&](const SqlRow& row) { steps.push_back(Number<uint32_t>(row, 0)); }));
    return steps;
  }
  absl::Status PutCheckpoint(uint32_t step) override {
    return Run("INSERT INTO checkpoints VALUES(?1) ON CONFLICT DO NOTHING", step);
  }

  absl::Status AddLine(const std::string& file, const std::string& line) override {
    return Run("INSERT INTO lines(file, line) VALUES(?1, ?2)", file, line);
  }
  absl::StatusOr<std::vector<JournalRow>> LinesAfter(const std::string& file, int64_t id) override {
    std::vector<JournalRow> rows;
    ATTNRL_RETURN_IF_ERROR(Read(
        "SELECT id, line FROM lines WHERE file = ?1 AND id > ?2 ORDER BY id",
        [&](const SqlRow& row) {
          rows.push_back(JournalRow{Number<int64_t>(row, 0), row.Bytes(1)});
        },
        file, id));
    return rows;
  }
  absl::StatusOr<int64_t> SettledBytes(const std::string& file) override {
    int64_t bytes = 0;
    ATTNRL_RETURN_IF_ERROR(Read(
        "SELECT bytes FROM files WHERE file = ?1",
        [&](const SqlRow& row) { bytes = Number<int64_t>(row, 0); }, file));
    return bytes;
  }
  absl::Status Settle(const std::string& file, int64_t id, int64_t bytes) override {
    ATTNRL_RETURN_IF_ERROR(Run("DELETE FROM lines WHERE file = ?1 AND id <= ?2", file, id));
    return Run(
        "INSERT INTO files VALUES(?1, ?2) ON CONFLICT(file) DO UPDATE SET bytes = excluded.bytes",
        file, bytes);
  }

 private:
  template <typename... Values>
  absl::Status Run(const char* sql, const Values&... values) {
    return database_->Write(sql, {ValueOf(values)...});
  }
  template <typename... Values>
  absl::Status Read(const char* sql, absl::FunctionRef<void(const SqlRow&)> take,
                    const Values&... values) {
    return database_->Read(sql, {ValueOf(values)...}, take);
  }

  const std::unique_ptr<SqlDatabase> database_;
  uint64_t commits_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenSqlStore(std::unique_ptr<SqlDatabase> database) {
  auto store = std::make_unique<SqlStore>(std::move(database));
  ATTNRL_RETURN_IF_ERROR(store->Prepare());
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace attnrl::scheduler
