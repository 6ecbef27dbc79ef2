// SPDX-License-Identifier: Apache-2.0
// What a store must do, over every database that it may lie in; against maps and lists in memory,
// over random sequences of operations.
#include "services/branch_scheduler/store/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/philox.h"
#include "common/base/status.h"
#include "common/storage/database.h"
#include "common/testing/temporary_folder.h"
#include "services/branch_scheduler/item_id.h"
#include "services/branch_scheduler/store/postgres/testing/postgres_server.h"

namespace attnrl::scheduler {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// What the store must hold, in the plainest way.
struct Model {
  std::map<std::string, std::string> facts;
  std::map<uint32_t, uint32_t> segments;
  std::map<uint32_t, Store::BatchRow> batches;
  std::map<ItemId, Store::ResultRow> results;
  std::map<ItemId, std::pair<std::string, Span>> grades;
  std::map<uint32_t, std::string> versions;
  std::map<uint32_t, Store::CommitRow> commits;
  std::set<uint32_t> checkpoints;
  std::map<std::string, std::vector<std::string>> lines;  // not settled
  std::map<std::string, int64_t> settled;
};

constexpr const char* kFiles[] = {"metrics.jsonl", "events.jsonl"};
constexpr uint32_t kBatches = 5;

// One operation on both.
class Pair {
 public:
  Pair(RandomStream* random, Store* store, Model* model)
      : random_(*random), store_(*store), model_(*model) {}

  void Operate() {
    switch (random_.Below(12)) {
      case 0:
        return Put();
      case 1:
        return PutSegment();
      case 2:
        return PutBatch();
      case 3:
        return random_.Below(3) == 0 ? ForgetRows() : Delete();
      case 4:
      case 5:
        return PutResult();
      case 6:
        return PutGrades();
      case 7:
        return PutVersion();
      case 8:
        return PutCommit();
      case 9:
        return PutCheckpoint();
      case 10:
        return AddLine();
      default:
        return Settle();
    }
  }

 private:
  uint32_t Small(uint64_t below) { return static_cast<uint32_t>(random_.Below(below)); }
  // Any bytes, zeroes and no UTF-8 among them.
  std::string Bytes() {
    std::string bytes;
    for (uint64_t i = random_.Below(20); i > 0; --i) {
      bytes.push_back(static_cast<char>(random_.Below(256)));
    }
    return bytes;
  }
  double Real() { return random_.Uniform() * 1e9; }
  ItemId Item() {
    return IdOf({Small(kBatches), Small(3), Small(3),
                 random_.Below(2) == 0 ? ItemKind::kInitial : ItemKind::kContinuation});
  }
  // A row that may be there once only.
  template <typename Map>
  void Once(Map& map, typename Map::key_type key, typename Map::mapped_type value,
            const std::function<absl::Status()>& put) {
    if (!map.emplace(std::move(key), std::move(value)).second) return;
    EXPECT_TRUE(put().ok());
  }

  void Put() {
    const std::string key = absl::StrCat("key", Small(4)), value = absl::StrCat(Small(1000));
    EXPECT_TRUE(store_.Put(key, value).ok());
    model_.facts[key] = value;
  }
  void PutSegment() {
    const uint32_t first = Small(kBatches), base = Small(kBatches);
    EXPECT_TRUE(store_.PutSegment(first, base).ok());
    model_.segments[first] = base;
  }
  void PutBatch() {
    const Store::BatchRow row{Small(kBatches), Small(9), random_.Bits() >> 1,
                              Small(9),        Real(),   Real()};
    Once(model_.batches, row.batch, row, [&] { return store_.PutBatch(row); });
  }
  void Delete() {
    const uint32_t batch = Small(kBatches + 1);
    const bool from = random_.Below(2) == 0;
    const auto gone = [&](uint32_t number) { return from ? number >= batch : number < batch; };
    EXPECT_TRUE((from ? store_.DeleteBatchesFrom(batch) : store_.ForgetResultsBefore(batch)).ok());
    const auto of_item = [&](const auto& entry) { return gone(KeyOfItem(entry.first).batch); };
    std::erase_if(model_.results, of_item);
    std::erase_if(model_.grades, of_item);
    if (from) std::erase_if(model_.batches, [&](const auto& entry) { return gone(entry.first); });
  }
  void ForgetRows() {
    const uint32_t batch = Small(kBatches), version = Small(kBatches), metrics = Small(2);
    EXPECT_TRUE(store_.ForgetRowsBefore(batch, version, metrics).ok());
    std::erase_if(model_.batches, [&](const auto& entry) { return entry.first < batch; });
    std::erase_if(model_.versions, [&](const auto& entry) { return entry.first < version; });
    for (auto& [number, row] : model_.commits) {
      if (number >= metrics && number < batch) row.metrics.clear();
    }
  }
  void PutResult() {
    const Store::ResultRow row{.item = Item(),
                               .lease = LeaseId{random_.Bits() >> 1},
                               .worker = absl::StrCat("w", Small(3)),
                               .payload = Bytes()};
    Once(model_.results, row.item, row, [&] { return store_.PutResult(row); });
  }
  void PutGrades() {
    const ItemId item = Item();
    const std::pair<std::string, Span> grades = {Bytes(), {Real(), Real()}};
    Once(model_.grades, item, grades,
         [&] { return store_.PutGrades(item, grades.first, grades.second); });
  }
  void PutVersion() {
    const Version version{Small(kBatches), absl::StrCat("digest", Small(100))};
    Once(model_.versions, version.number, version.digest,
         [&] { return store_.PutVersion(version); });
  }
  void PutCommit() {
    const Store::CommitRow row{.batch = Small(kBatches),
                               .empty = Small(2) == 0,
                               .time = Real(),
                               .train = {Real(), Real()},
                               .problems = Small(100),
                               .valid = Small(100),
                               .solved = {Real(), Small(100)},
                               .metrics = absl::StrCat("{", Small(100), "}")};
    Once(model_.commits, row.batch, row, [&] { return store_.PutCommit(row); });
  }
  void PutCheckpoint() {
    const uint32_t step = Small(9);
    EXPECT_TRUE(store_.PutCheckpoint(step).ok()) << "twice is no mistake";
    model_.checkpoints.insert(step);
  }
  void AddLine() {
    const std::string file = kFiles[Small(2)], line = absl::StrCat("{\"line\":", Small(1000), "}");
    EXPECT_TRUE(store_.AddLine(file, line).ok());
    model_.lines[file].push_back(line);
  }
  void Settle() {
    const std::string file = kFiles[Small(2)];
    const auto rows = store_.LinesAfter(file, 0);
    ASSERT_TRUE(rows.ok());
    const size_t count = random_.Below(rows->size() + 1);
    const int64_t id = count == 0 ? 0 : (*rows)[count - 1].id;
    const int64_t bytes = Small(100'000);
    EXPECT_TRUE(store_.Settle(file, id, bytes).ok());
    auto& lines = model_.lines[file];
    lines.erase(lines.begin(), lines.begin() + static_cast<ptrdiff_t>(count));
    model_.settled[file] = bytes;
  }

  RandomStream& random_;
  Store& store_;
  Model& model_;
};

auto Tie(const Store::BatchRow& row) {
  return std::tuple(row.batch, row.base, row.cursor, row.problems, row.real_size, row.created);
}
auto Tie(const Store::CommitRow& row) {
  return std::tuple(row.batch, row.empty, row.time, row.train.start, row.train.end, row.problems,
                    row.valid, row.solved.sum, row.solved.count, row.metrics);
}
auto Tie(const Store::ResultRow& row) {
  return std::tuple(row.item, row.lease, row.worker, row.payload, row.grades, row.grading.start,
                    row.grading.end);
}
template <typename Row>
auto TieAll(const std::vector<Row>& rows) {
  std::vector<decltype(Tie(rows[0]))> all;
  for (const Row& row : rows) all.push_back(Tie(row));
  return all;
}

void ExpectBatches(Store& store, const Model& model) {
  for (uint32_t from = 0; from <= kBatches; ++from) {
    std::vector<Store::BatchRow> expected;
    for (const auto& [number, row] : model.batches) {
      if (number >= from) expected.push_back(row);
    }
    EXPECT_EQ(TieAll(*store.Batches(from)), TieAll(expected));
  }
}

void ExpectResults(Store& store, const Model& model) {
  for (uint32_t batch = 0; batch < kBatches; ++batch) {
    std::vector<Store::ResultRow> expected;
    for (auto [item, row] : model.results) {
      if (KeyOfItem(item).batch != batch) continue;
      if (auto grades = model.grades.find(item); grades != model.grades.end()) {
        row.grades = grades->second.first;
        row.grading = grades->second.second;
      }
      expected.push_back(row);
      EXPECT_EQ(*store.LeaseOfResult(item), row.lease);
    }
    EXPECT_EQ(TieAll(*store.Results(batch)), TieAll(expected));
  }
  EXPECT_EQ(*store.LeaseOfResult(IdOf({kBatches, 0, 0, {}})), std::nullopt);
}

void ExpectEqual(Store& store, const Model& model) {
  for (int key = 0; key < 4; ++key) {
    const std::string name = absl::StrCat("key", key);
    const auto found = model.facts.find(name);
    EXPECT_EQ(*store.Get(name),
              found == model.facts.end() ? std::nullopt : std::optional(found->second));
  }
  EXPECT_EQ(*store.Segments(), model.segments);
  ExpectBatches(store, model);
  ExpectResults(store, model);
  EXPECT_EQ(*store.Versions(), model.versions);
  std::vector<Store::CommitRow> commits;
  for (const auto& [number, row] : model.commits) commits.push_back(row);
  for (size_t i = 0; i + 1 < commits.size(); ++i) commits[i].metrics.clear();  // of the last one
  EXPECT_EQ(TieAll(*store.Commits()), TieAll(commits));
  for (uint32_t batch = 0; batch <= kBatches; ++batch) {
    std::vector<std::string> metrics;
    for (const auto& [number, row] : model.commits) {
      if (number < batch) metrics.push_back(row.metrics);
    }
    EXPECT_EQ(*store.MetricsBefore(batch), metrics);
  }
  EXPECT_EQ(*store.Checkpoints(),
            std::vector<uint32_t>(model.checkpoints.begin(), model.checkpoints.end()));
  for (const std::string file : kFiles) {
    std::vector<std::string> lines;
    const std::vector<Store::JournalRow> rows = *store.LinesAfter(file, 0);
    for (const Store::JournalRow& row : rows) lines.push_back(row.line);
    const auto found = model.lines.find(file);
    EXPECT_EQ(lines, found == model.lines.end() ? std::vector<std::string>() : found->second);
    EXPECT_EQ(*store.SettledBytes(file), model.settled.contains(file) ? model.settled.at(file) : 0);
  }
}

enum class Kind { kSqlite, kPostgres };

class StoreTest : public ::testing::TestWithParam<Kind> {
 protected:
  // One server for all of them: each has a run of its own there.
  static void SetUpTestSuite() { server_ = postgres::PostgresServer::Make().release(); }
  static void TearDownTestSuite() { delete std::exchange(server_, nullptr); }
  void SetUp() override {
    if (GetParam() == Kind::kPostgres && server_ == nullptr) {
      GTEST_SKIP() << "no PostgreSQL server is installed";
    }
  }

  // Of a store that isn't there yet.
  StoreLocation NewPlace() {
    static int runs = 0;
    ++runs;
    if (GetParam() == Kind::kSqlite) {
      return {.path = folder_ / absl::StrCat("scheduler-", runs, ".db")};
    }
    return {
        .url = server_->Url(), .run_id = absl::StrCat("run-", runs), .database = "the database"};
  }

  const TemporaryFolder folder_{TemporaryFolder::On::kMemory};

 private:
  static postgres::PostgresServer* server_;
};

postgres::PostgresServer* StoreTest::server_ = nullptr;

INSTANTIATE_TEST_SUITE_P(Everywhere, StoreTest, ::testing::Values(Kind::kSqlite, Kind::kPostgres),
                         [](const auto& store) {
                           return store.param == Kind::kSqlite ? "Sqlite" : "Postgres";
                         });

TEST_P(StoreTest, HoldsWhatMapsInMemoryWouldThroughRollbacksAndRestarts) {
  for (uint64_t seed = 0; seed < 25; ++seed) {
    SCOPED_TRACE(seed);
    const StoreLocation place = NewPlace();
    RandomStream random({.seed = seed});
    auto store = OpenStore(place);
    ASSERT_TRUE(store.ok()) << store.status();
    Model model;
    for (int transaction = 0; transaction < 12; ++transaction) {
      const Model before = model;
      ASSERT_TRUE((*store)->Begin().ok());
      Pair pair(&random, store->get(), &model);
      for (uint64_t i = random.Below(12); i > 0; --i) pair.Operate();
      const uint64_t commits = (*store)->commits();
      if (random.Below(4) == 0) {
        (*store)->Rollback();
        model = before;
        EXPECT_EQ((*store)->commits(), commits);
      } else {
        ASSERT_TRUE((*store)->Commit().ok());
        EXPECT_EQ((*store)->commits(), commits + 1);
      }
      if (random.Below(3) == 0) {
        store->reset();  // with its lock
        store = OpenStore(place);
        ASSERT_TRUE(store.ok()) << store.status();
      }
      ExpectEqual(**store, model);
      if (HasFailure()) return;
    }
  }
}

TEST_P(StoreTest, WhatWasNotCommittedIsGoneWithTheProcess) {
  const StoreLocation place = NewPlace();
  auto store = OpenStore(place);
  ASSERT_TRUE((*store)->Begin().ok());
  ASSERT_TRUE((*store)->Put("epoch", "1").ok());
  store->reset();
  store = OpenStore(place);
  EXPECT_EQ(*(*store)->Get("epoch"), std::nullopt);
}

TEST_P(StoreTest, RefusesATransactionThatWritesWhatIsThere) {
  struct Case {
    const char* table;
    std::function<absl::Status(Store&)> put;
  };
  const std::vector<Case> cases = {
      {"batches", [](Store& store) { return store.PutBatch({.batch = 1}); }},
      {"results", [](Store& store) { return store.PutResult({.item = ItemId{1}}); }},
      {"grades", [](Store& store) { return store.PutGrades(ItemId{1}, "", {}); }},
      {"versions",
       [](Store& store) {
         return store.PutVersion({1, ""});
       }},
      {"commits", [](Store& store) { return store.PutCommit({.batch = 1}); }}};
  const StoreLocation place = NewPlace();
  auto store = OpenStore(place);
  ASSERT_TRUE(store.ok()) << store.status();
  // Whichever call says it.
  const auto transact = [&](const Case& each, const std::string& fact) -> absl::Status {
    ATTNRL_RETURN_IF_ERROR((*store)->Begin());
    ATTNRL_RETURN_IF_ERROR((*store)->Put(fact, "1"));
    ATTNRL_RETURN_IF_ERROR(each.put(**store));
    ATTNRL_RETURN_IF_ERROR((*store)->Put("after", "1"));
    return (*store)->Commit();
  };
  for (const Case& each : cases) {
    ASSERT_EQ(transact(each, "first"), absl::OkStatus());
    const absl::Status status = transact(each, "second");
    (*store)->Rollback();
    EXPECT_TRUE(absl::IsAlreadyExists(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(place.name()));
    EXPECT_THAT(std::string(status.message()), HasSubstr(absl::StrCat("INTO ", each.table)));
    EXPECT_EQ(*(*store)->Get("second"), std::nullopt) << each.table;
  }
}

TEST_P(StoreTest, NeverGivesALineTheNumberOfOneThatWasSettled) {
  const StoreLocation place = NewPlace();
  int64_t last = 0;
  for (int process = 0; process < 3; ++process) {
    auto store = OpenStore(place);
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE((*store)->AddLine("events.jsonl", "{}").ok());
      const auto rows = *(*store)->LinesAfter("events.jsonl", last);
      ASSERT_EQ(rows.size(), 1u);
      EXPECT_GT(rows[0].id, last);
      last = rows[0].id;
      ASSERT_TRUE((*store)->Settle("events.jsonl", last, 3).ok());
    }
  }
}

TEST_P(StoreTest, RefusesAnotherFormat) {
  const StoreLocation place = NewPlace();
  {
    auto store = OpenStore(place);
    ASSERT_TRUE(store.ok()) << store.status();
    EXPECT_EQ(*(*store)->Get("format"), "3");
    ASSERT_TRUE((*store)->Put("format", "1").ok());
  }
  const absl::Status other = OpenStore(place).status();
  EXPECT_TRUE(IsInputError(other));
  EXPECT_EQ(std::string(other.message()),
            place.name() + ": database format 1; this build reads format 3");
}

TEST(SqliteStore, RefusesASecondProcess) {
  const TemporaryFolder folder(TemporaryFolder::On::kMemory);
  const StoreLocation place = {.path = folder / "scheduler.db"};
  auto store = OpenStore(place);
  ASSERT_TRUE(store.ok());
  const absl::Status second = OpenStore(place).status();
  EXPECT_THAT(std::string(second.message()), HasSubstr("in use"));
  EXPECT_THAT(std::string(second.message()), HasSubstr(place.path));
}

// Another build's file may lack what this one reads: every read says so instead of being empty.
TEST(SqliteStore, ReportsTheErrorsOfItsReads) {
  const TemporaryFolder folder(TemporaryFolder::On::kMemory);
  const std::string path = folder / "scheduler.db";
  auto store = OpenStore({.path = path});
  auto database = storage::Database::Open(path);
  ASSERT_TRUE(database.ok());
  for (const char* table : {"run", "segments", "batches", "results", "versions", "commits",
                            "checkpoints", "lines", "files"}) {
    ASSERT_TRUE((*database)->Execute(absl::StrCat("DROP TABLE ", table)).ok()) << table;
  }
  EXPECT_FALSE((*store)->Get("x").ok());
  EXPECT_FALSE((*store)->Segments().ok());
  EXPECT_FALSE((*store)->Batches(0).ok());
  EXPECT_FALSE((*store)->Results(0).ok());
  EXPECT_FALSE((*store)->LeaseOfResult(ItemId{1}).ok());
  EXPECT_FALSE((*store)->Versions().ok());
  EXPECT_FALSE((*store)->Commits().ok());
  EXPECT_FALSE((*store)->Checkpoints().ok());
  EXPECT_FALSE((*store)->LinesAfter("events.jsonl", 0).ok());
  EXPECT_FALSE((*store)->SettledBytes("events.jsonl").ok());
  EXPECT_THAT(std::string((*store)->Put("a", "b").message()), HasSubstr(path));
}

}  // namespace
}  // namespace attnrl::scheduler
