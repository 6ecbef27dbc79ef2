// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/store/testing/store_model.h"

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/branch_scheduler/item_id.h"

namespace attnrl::scheduler {
namespace {

constexpr const char* kFiles[] = {"metrics.jsonl", "events.jsonl"};
constexpr uint32_t kBatches = 5;

// One operation on both.
class Pair {
 public:
  Pair(RandomStream* random, Store* store, StoreModel* model)
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
  StoreModel& model_;
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

void ExpectBatches(Store& store, const StoreModel& model) {
  for (uint32_t from = 0; from <= kBatches; ++from) {
    std::vector<Store::BatchRow> expected;
    for (const auto& [number, row] : model.batches) {
      if (number >= from) expected.push_back(row);
    }
    EXPECT_EQ(TieAll(*store.Batches(from)), TieAll(expected));
  }
}

void ExpectResults(Store& store, const StoreModel& model) {
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

}  // namespace

void OperateOnBoth(RandomStream* random, Store* store, StoreModel* model) {
  Pair(random, store, model).Operate();
}

void ExpectEqual(Store& store, const StoreModel& model) {
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

}  // namespace attnrl::scheduler
