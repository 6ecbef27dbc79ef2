// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/memory_store.h"

#include <utility>

#include "common/base/status.h"
#include "services/branch_scheduler/item_id.h"

namespace attnrl::scheduler::simulation {
namespace {

ItemId FirstItem(uint32_t batch) { return IdOf({batch, 0, 0, ItemKind::kInitial}); }

template <typename Map, typename Key>
void EraseBelow(Map* map, const Key& key) {
  map->erase(map->begin(), map->lower_bound(key));
}
template <typename Map, typename Key>
void EraseFrom(Map* map, const Key& key) {
  map->erase(map->lower_bound(key), map->end());
}

class MemoryStore final : public Store {
 public:
  explicit MemoryStore(Disk* disk) : disk_(*disk), rows_(disk->durable) { disk_.dead = false; }

  absl::Status Begin() override {
    ATTNRL_RETURN_IF_ERROR(Survive());
    if (open_) return absl::InternalError("a transaction within a transaction");
    open_ = true;
    return absl::OkStatus();
  }
  absl::Status Commit() override {
    const bool dies = disk_.dies_in == 1;
    if (dies && disk_.dies_behind_the_commit) disk_.durable = rows_;
    ATTNRL_RETURN_IF_ERROR(Survive());
    open_ = false;
    if (disk_.broken == Broken::kForgetsTransactions) {
      disk_.durable = std::exchange(newest_, rows_);
    } else {
      disk_.durable = rows_;
    }
    ++commits_;
    return absl::OkStatus();
  }
  void Rollback() override {
    open_ = false;
    rows_ = disk_.broken == Broken::kForgetsTransactions ? newest_ : disk_.durable;
  }
  uint64_t commits() const override { return commits_; }

  absl::StatusOr<std::optional<std::string>> Get(const std::string& key) override {
    const auto fact = rows_.facts.find(key);
    if (fact == rows_.facts.end()) return std::optional<std::string>();
    return std::optional<std::string>(fact->second);
  }
  absl::Status Put(const std::string& key, const std::string& value) override {
    ATTNRL_RETURN_IF_ERROR(Write());
    const bool forgets = (key == "epoch" && disk_.broken == Broken::kForgetsSchedulerEpoch) ||
                         (key == "learner_epoch" && disk_.broken == Broken::kForgetsLearnerEpoch);
    if (!forgets) rows_.facts[key] = value;
    return absl::OkStatus();
  }

  absl::StatusOr<std::map<uint32_t, uint32_t>> Segments() override { return rows_.segments; }
  absl::Status PutSegment(uint32_t first_batch, uint32_t base) override {
    ATTNRL_RETURN_IF_ERROR(Write());
    rows_.segments[first_batch] = base;
    return absl::OkStatus();
  }

  absl::Status PutBatch(const BatchRow& row) override {
    ATTNRL_RETURN_IF_ERROR(Write());
    return Insert(&rows_.batches, row.batch, row);
  }
  absl::StatusOr<std::vector<BatchRow>> Batches(uint32_t from) override {
    std::vector<BatchRow> rows;
    for (auto row = rows_.batches.lower_bound(from); row != rows_.batches.end(); ++row) {
      rows.push_back(row->second);
    }
    return rows;
  }
  absl::Status DeleteBatchesFrom(uint32_t batch) override {
    ATTNRL_RETURN_IF_ERROR(Write());
    EraseFrom(&rows_.batches, batch);
    EraseFrom(&rows_.results, FirstItem(batch));
    return absl::OkStatus();
  }
  absl::Status ForgetResultsBefore(uint32_t batch) override {
    ATTNRL_RETURN_IF_ERROR(Write());
    EraseBelow(&rows_.results, FirstItem(batch));
    return absl::OkStatus();
  }
  absl::Status ForgetRowsBefore(uint32_t batch, uint32_t version, uint32_t metrics) override {
    ATTNRL_RETURN_IF_ERROR(Write());
    EraseBelow(&rows_.batches, batch);
    EraseBelow(&rows_.versions, version);
    for (auto& [number, row] : rows_.commits) {
      if (number >= metrics && number < batch) row.metrics.clear();
    }
    return absl::OkStatus();
  }

  absl::Status PutResult(const ResultRow& row) override {
    ATTNRL_RETURN_IF_ERROR(Write());
    return Insert(&rows_.results, row.item, row);
  }
  absl::Status PutGrades(ItemId item, const std::string& grades, const Span& grading) override {
    ATTNRL_RETURN_IF_ERROR(Write());
    const auto row = rows_.results.find(item);
    if (row == rows_.results.end() || row->second.grades) {
      return absl::InternalError("grades of no result, or a second time");
    }
    row->second.grades = grades;
    row->second.grading = grading;
    return absl::OkStatus();
  }
  absl::Status DeleteResult(ItemId item) override {
    ATTNRL_RETURN_IF_ERROR(Write());
    rows_.results.erase(item);
    return absl::OkStatus();
  }
  absl::Status DeleteGrades(ItemId item) override {
    ATTNRL_RETURN_IF_ERROR(Write());
    if (const auto row = rows_.results.find(item); row != rows_.results.end()) {
      row->second.grades.reset();
    }
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<ResultRow>> Results(uint32_t batch) override {
    std::vector<ResultRow> rows;
    const auto end = rows_.results.lower_bound(FirstItem(batch + 1));
    for (auto row = rows_.results.lower_bound(FirstItem(batch)); row != end; ++row) {
      rows.push_back(row->second);
    }
    return rows;
  }
  absl::StatusOr<std::optional<LeaseId>> LeaseOfResult(ItemId item) override {
    const auto row = rows_.results.find(item);
    if (row == rows_.results.end()) return std::optional<LeaseId>();
    return std::optional<LeaseId>(row->second.lease);
  }

  absl::StatusOr<std::map<uint32_t, std::string>> Versions() override { return rows_.versions; }
  absl::Status PutVersion(const Version& version) override {
    ATTNRL_RETURN_IF_ERROR(Write());
    return Insert(&rows_.versions, version.number, version.digest);
  }

  absl::StatusOr<std::vector<CommitRow>> Commits() override {
    std::vector<CommitRow> rows;
    for (const auto& [batch, row] : rows_.commits) {
      if (!rows.empty()) rows.back().metrics.clear();
      rows.push_back(row);
    }
    return rows;
  }
  absl::Status PutCommit(const CommitRow& row) override {
    ATTNRL_RETURN_IF_ERROR(Write());
    return Insert(&rows_.commits, row.batch, row);
  }
  absl::StatusOr<std::vector<std::string>> MetricsBefore(uint32_t batch) override {
    std::vector<std::string> lines;
    for (const auto& [number, row] : rows_.commits) {
      if (number < batch) lines.push_back(row.metrics);
    }
    return lines;
  }

  absl::StatusOr<std::vector<uint32_t>> Checkpoints() override {
    return std::vector<uint32_t>(rows_.checkpoints.begin(), rows_.checkpoints.end());
  }
  absl::Status PutCheckpoint(uint32_t step) override {
    ATTNRL_RETURN_IF_ERROR(Write());
    rows_.checkpoints.insert(step);
    return absl::OkStatus();
  }

  absl::Status AddLine(const std::string& file, const std::string& line) override {
    ATTNRL_RETURN_IF_ERROR(Write());
    rows_.lines[rows_.next_line++] = {file, line};
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<JournalRow>> LinesAfter(const std::string& file, int64_t id) override {
    std::vector<JournalRow> rows;
    for (auto row = rows_.lines.upper_bound(id); row != rows_.lines.end(); ++row) {
      if (row->second.first == file) rows.push_back({row->first, row->second.second});
    }
    return rows;
  }
  absl::StatusOr<int64_t> SettledBytes(const std::string& file) override {
    const auto bytes = rows_.settled.find(file);
    return bytes == rows_.settled.end() ? 0 : bytes->second;
  }
  absl::Status Settle(const std::string& file, int64_t id, int64_t bytes) override {
    ATTNRL_RETURN_IF_ERROR(Write());
    std::erase_if(rows_.lines,
                  [&](const auto& row) { return row.first <= id && row.second.first == file; });
    rows_.settled[file] = bytes;
    return absl::OkStatus();
  }

 private:
  absl::Status Survive() {
    if (disk_.dies_in > 0 && --disk_.dies_in == 0) disk_.dead = true;
    return disk_.dead ? absl::AbortedError("another process owns the run") : absl::OkStatus();
  }
  absl::Status Write() {
    ATTNRL_RETURN_IF_ERROR(Survive());
    return open_ ? absl::OkStatus() : absl::InternalError("a write outside of a transaction");
  }
  template <typename Map>
  static absl::Status Insert(Map* map, const typename Map::key_type& key,
                             const typename Map::mapped_type& row) {
    return map->emplace(key, row).second ? absl::OkStatus()
                                         : absl::InternalError("a row is there already");
  }

  Disk& disk_;
  Rows rows_;                    // as this process sees them
  Rows newest_ = disk_.durable;  // with kForgetsTransactions: what was committed last
  bool open_ = false;
  uint64_t commits_ = 0;
};

}  // namespace

std::unique_ptr<Store> OpenMemoryStore(Disk* disk) { return std::make_unique<MemoryStore>(disk); }

}  // namespace attnrl::scheduler::simulation
