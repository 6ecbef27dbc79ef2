// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/tree/adaptive_sampling.h"
#include "services/branch_scheduler/store_location.h"
#include "services/branch_scheduler/types.h"

namespace attnrl::scheduler {

// The durable state of a run, in a database (services/branch_scheduler/store/README.md, "Database",
// has the schema): what Commit has returned OK for survives any kill and loss of power. One process
// at a time owns it. Not thread-safe; Run owns the order of calls. Every write must lie between
// Begin and Commit, and what is wrong with it is said at the latest by Commit; after an error the
// transaction is of no use. RESOURCE_EXHAUSTED: the disk is full; DATA_LOSS: the database is
// damaged; ABORTED: another process owns it now; ALREADY_EXISTS: a batch, result, version or
// commit was put twice, or the grades of an item.
class Store {
 public:
  struct BatchRow {
    uint32_t batch = 0;
    uint32_t base = 0;
    uint64_t cursor = 0;  // place of the first problem in its data set's sequence
    uint32_t problems = 0;
    double real_size = 0;  // b_real of the rule for its size
    double created = 0;    // seconds since the epoch
  };
  struct ResultRow {
    ItemId item = {};
    LeaseId lease = {};
    std::string worker = {};
    std::string payload = {};
    std::optional<std::string> grades = {};
    Span grading = {};
  };
  struct CommitRow {
    uint32_t batch = 0;
    bool empty = false;  // without samples
    double time = 0;     // seconds since the epoch
    Span train = {};     // 0, 0 where nothing was trained
    // What later batches are composed by: problems sampled, samples trained, and the mean attention
    // score of all solved problems up to and with this batch.
    uint32_t problems = 0;
    uint32_t valid = 0;
    tree::RunningMean solved = {};
    std::string metrics = {};
  };
  struct JournalRow {
    int64_t id = 0;
    std::string line = {};
  };

  virtual ~Store() = default;

  virtual absl::Status Begin() = 0;
  virtual absl::Status Commit() = 0;
  // Drops what was written since Begin.
  virtual void Rollback() = 0;

  // Facts about the run, by name.
  virtual absl::StatusOr<std::optional<std::string>> Get(const std::string& key) = 0;
  virtual absl::Status Put(const std::string& key, const std::string& value) = 0;

  // First batch of each segment -> its base.
  virtual absl::StatusOr<std::map<uint32_t, uint32_t>> Segments() = 0;
  virtual absl::Status PutSegment(uint32_t first_batch, uint32_t base) = 0;

  virtual absl::Status PutBatch(const BatchRow& row) = 0;
  // In order, from this number on.
  virtual absl::StatusOr<std::vector<BatchRow>> Batches(uint32_t from) = 0;
  // Removes the batches from this number on with everything that belongs to them.
  virtual absl::Status DeleteBatchesFrom(uint32_t batch) = 0;
  // Removes the results of the batches below this number.
  virtual absl::Status ForgetResultsBefore(uint32_t batch) = 0;
  // Removes the rows of the batches below this number, the metrics of their commits but for the
  // first `metrics` ones, and the versions below `version`.
  virtual absl::Status ForgetRowsBefore(uint32_t batch, uint32_t version, uint32_t metrics) = 0;

  virtual absl::Status PutResult(const ResultRow& row) = 0;
  virtual absl::Status PutGrades(ItemId item, const std::string& grades, const Span& grading) = 0;
  // For what is damaged: it is sampled, or graded, again.
  virtual absl::Status DeleteResult(ItemId item) = 0;
  virtual absl::Status DeleteGrades(ItemId item) = 0;
  // Of one batch, in order of the items.
  virtual absl::StatusOr<std::vector<ResultRow>> Results(uint32_t batch) = 0;
  // The lease whose result is stored; nullopt: none is.
  virtual absl::StatusOr<std::optional<LeaseId>> LeaseOfResult(ItemId item) = 0;

  virtual absl::StatusOr<std::map<uint32_t, std::string>> Versions() = 0;
  virtual absl::Status PutVersion(const Version& version) = 0;

  // In order; `metrics` only of the last one.
  virtual absl::StatusOr<std::vector<CommitRow>> Commits() = 0;
  virtual absl::Status PutCommit(const CommitRow& row) = 0;
  // `metrics` of the batches below this number, in order.
  virtual absl::StatusOr<std::vector<std::string>> MetricsBefore(uint32_t batch) = 0;

  // Steps of complete checkpoints that the learner reported, ascending.
  virtual absl::StatusOr<std::vector<uint32_t>> Checkpoints() = 0;
  virtual absl::Status PutCheckpoint(uint32_t step) = 0;

  // Lines of append-only files, in the order in which they were added (journal.h).
  virtual absl::Status AddLine(const std::string& file, const std::string& line) = 0;
  virtual absl::StatusOr<std::vector<JournalRow>> LinesAfter(const std::string& file,
                                                             int64_t id) = 0;
  // Bytes of the file that come from lines already removed.
  virtual absl::StatusOr<int64_t> SettledBytes(const std::string& file) = 0;
  // The file's lines up to `id` are safe in its first `bytes` bytes: they are removed here.
  virtual absl::Status Settle(const std::string& file, int64_t id, int64_t bytes) = 0;

  // Called in every round of the owner: a store that others can take over needs a sign of life, and
  // says here that one has.
  virtual absl::Status KeepAlive() { return absl::OkStatus(); }

  // Transactions committed since Open.
  virtual uint64_t commits() const = 0;
};

// What is asked while a store waits for a server, or for its turn.
struct StoreWaits {
  // Several times a second, by whatever thread waits, as long as the store lives: true ends the
  // wait, CANCELLED.
  std::function<bool()> stop = nullptr;
  // Every second while it is opened and `owner` has the run. An error ends the wait with it.
  std::function<absl::Status(const std::string& owner)> standby = nullptr;
};

// InputError where it belongs to another process, to another format, or refuses this one. Of a
// database that others can take over it waits for its turn.
absl::StatusOr<std::unique_ptr<Store>> OpenStore(const StoreLocation& location,
                                                 const StoreWaits& waits = {});

}  // namespace attnrl::scheduler
