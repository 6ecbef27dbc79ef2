// SPDX-License-Identifier: Apache-2.0
// The lease table against a list of items in memory, over random histories.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/philox.h"
#include "services/branch_scheduler/item_id.h"
#include "services/branch_scheduler/work/leases.h"

namespace attnrl::scheduler {
namespace {

constexpr uint32_t kEpoch = 3;
constexpr uint32_t kMaxCredits = 4;
constexpr absl::Duration kLease = absl::Seconds(60), kGrace = absl::Seconds(10);

// An item that is open: ready, or held by somebody until some time.
struct OpenItem {
  uint32_t version = 0;
  std::string holder;  // empty: ready
  LeaseId lease = {};
  absl::Duration deadline;
};
struct KnownWorker {
  uint64_t connection = 0;
  bool connected = false, silent = false;
  uint32_t credits = 0;
};

// The rules of README.md, "Leases", in the plainest way.
class Model {
 public:
  std::map<ItemId, OpenItem> items;
  std::map<std::string, KnownWorker> workers;
  std::map<uint64_t, std::string> homes;

  OpenItem* Held(const std::string& worker, LeaseId lease) {
    for (auto& [id, item] : items) {
      if (item.holder == worker && !worker.empty() && item.lease == lease) return &item;
    }
    return nullptr;
  }
  size_t Count(const std::string& worker) const {
    return static_cast<size_t>(std::count_if(items.begin(), items.end(), [&](const auto& entry) {
      return entry.second.holder == worker;
    }));
  }
  std::vector<LeaseId> LeasesOf(const std::string& worker) const {
    std::vector<LeaseId> leases;
    for (const auto& [id, item] : items) {
      if (item.holder == worker) leases.push_back(item.lease);
    }
    return leases;
  }
  // The ready item of the oldest version, initial responses before continuations; of those the one
  // with the lowest number.
  std::optional<ItemId> First() const {
    const auto turn = [this](ItemId id) {
      return std::tuple(items.at(id).version, KeyOfItem(id).kind, id);
    };
    std::optional<ItemId> first;
    for (const auto& [id, item] : items) {
      if (item.holder.empty() && (!first || turn(id) < turn(*first))) first = id;
    }
    return first;
  }
  // The share of its credits in use; nullopt for one that
  // takes no more.
  std::optional<double> Share(const std::string& name) const {
    const auto found = workers.find(name);
    if (found == workers.end()) return std::nullopt;
    const KnownWorker& worker = found->second;
    if (!worker.connected || worker.silent || Count(name) >= worker.credits) return std::nullopt;
    return static_cast<double>(Count(name)) / worker.credits;
  }
  // The one with credit left who uses the smallest share of it; the first name of equals.
  std::optional<std::string> Neediest() const {
    std::optional<std::string> best;
    for (const auto& [name, worker] : workers) {
      const std::optional<double> share = Share(name);
      if (share && (!best || *share < *Share(*best))) best = name;
    }
    return best;
  }
  // Fewer items are ready than workers take one.
  bool Last() const {
    const auto ready = std::count_if(items.begin(), items.end(),
                                     [](const auto& entry) { return entry.second.holder.empty(); });
    return ready < std::count_if(
                       workers.begin(), workers.end(),
                       [this](const auto& entry) { return Share(entry.first).has_value(); });
  }
  // Who gets an item: who last got one of its problem, unless that one is too busy, or the item one
  // of the last.
  std::optional<std::string> Getter(ItemId item) const {
    const std::optional<std::string> neediest = Neediest();
    const auto home = homes.find(ProblemOf(item));
    if (!neediest || home == homes.end() || Last()) return neediest;
    const std::optional<double> share = Share(home->second);
    return share && *share <= *Share(*neediest) + 0.25 ? home->second : neediest;
  }
};

class History {
 public:
  explicit History(uint64_t seed) : random_({.seed = seed}) {}

  void Step() {
    now_ += absl::Seconds(random_.Below(9));
    switch (random_.Below(11)) {
      case 0:
      case 1:
        return Open();
      case 2:
        return Close();
      case 3:
        return Connect();
      case 4:
        return Disconnect();
      case 5:
        return Leave();
      case 6:
        return SetCredits();
      case 7:
        return Renew();
      case 8:
        return GiveBack();
      case 9:
        return Holds();
      default:
        return random_.Below(20) == 0 ? RevokeAll() : Expire();
    }
  }

  void Grant() {
    for (const LeaseTable::Granted& granted : table_.Grant(now_)) {
      ASSERT_EQ(model_.First(), granted.item);
      ASSERT_EQ(model_.Getter(granted.item), granted.worker);
      model_.homes[ProblemOf(granted.item)] = granted.worker;
      EXPECT_EQ(Number(granted.lease) >> 32, kEpoch);
      for (const LeaseId before : given_) EXPECT_LT(before, granted.lease) << "never twice";
      given_.push_back(granted.lease);
      OpenItem& item = model_.items[granted.item];
      item.holder = granted.worker;
      item.lease = granted.lease;
      item.deadline = now_ + kLease;
    }
    EXPECT_TRUE(!model_.First() || !model_.Neediest()) << "nothing more could be handed out";
  }

  void ExpectEqual() const {
    size_t held = 0;
    for (const auto& [id, item] : model_.items) held += item.holder.empty() ? 0 : 1;
    EXPECT_EQ(table_.open_items(), model_.items.size()) << "nothing is lost";
    EXPECT_EQ(table_.active_leases(), held);
    EXPECT_EQ(table_.ready_items(), model_.items.size() - held);
    EXPECT_EQ(table_.next_item(), model_.First());
    std::map<std::string, uint32_t> leases, expected;
    for (const WorkerStatus& worker : table_.Workers(absl::ZeroDuration()))
      leases[worker.worker] = worker.leases;
    for (const auto& [name, worker] : model_.workers) {
      if (worker.connected) expected[name] = static_cast<uint32_t>(model_.Count(name));
    }
    EXPECT_EQ(leases, expected);
    const LeaseTable::Counters& counters = table_.counters();
    EXPECT_EQ(counters.granted + counters.adopted,
              counters.completed + counters.expired + counters.returned + held)
        << "every lease that began has ended once, or is held";
  }

 private:
  std::string Name() { return absl::StrCat("w", random_.Below(3)); }
  // Three items of each of four problems.
  ItemId AnyItem() { return ItemId{(random_.Below(4) << 12) + random_.Below(3) + 1}; }
  // Mostly one that there is.
  LeaseId AnyLease() {
    if (given_.empty() || random_.Below(5) == 0) {
      return LeaseId{(random_.Below(4) + 1) << 32 | random_.Below(9)};
    }
    return given_[random_.Below(given_.size())];
  }
  std::vector<LeaseId> SomeLeases(const std::string& worker) {
    std::vector<LeaseId> some;
    for (const LeaseId lease : model_.LeasesOf(worker)) {
      if (random_.Below(2) == 0) some.push_back(lease);
    }
    if (random_.Below(3) == 0) some.push_back(AnyLease());
    return some;
  }
  void Heard(const std::string& worker) {
    if (model_.workers.contains(worker)) model_.workers[worker].silent = false;
  }
  static void Reopen(OpenItem* item) { item->holder.clear(); }

  void Open() {
    const ItemId item = AnyItem();
    const auto version = static_cast<uint32_t>(random_.Below(3));
    table_.Open(version, item);
    model_.items.try_emplace(item, OpenItem{version, "", {}, {}});
  }
  void Close() {
    const ItemId item = AnyItem();
    table_.Close(item);
    model_.items.erase(item);
  }
  void Connect() {
    Register hello;
    hello.worker = Name();
    hello.capacity = 5;
    hello.credits = static_cast<uint32_t>(random_.Below(kMaxCredits + 3));
    std::vector<LeaseId> expected;
    std::map<ItemId, LeaseId> claims;
    for (uint64_t i = random_.Below(5); i > 0; --i) claims[AnyItem()] = AnyLease();
    for (const auto& [id, item] : model_.items) {
      if (item.holder == hello.worker && random_.Below(2) == 0) claims[id] = item.lease;
    }
    std::map<LeaseId, ItemId> once;  // a lease is claimed for one item
    for (const auto& [item, lease] : claims) once[lease] = item;
    for (const auto& [lease, id] : once) {
      hello.held.push_back({lease, id});
      const auto item = model_.items.find(id);
      if (item == model_.items.end()) continue;
      const bool mine = item->second.holder == hello.worker && item->second.lease == lease;
      const bool in_use = std::any_of(model_.items.begin(), model_.items.end(), [&](auto& other) {
        return !other.second.holder.empty() && other.second.lease == lease;
      });
      const bool adopted = item->second.holder.empty() && !in_use && Number(lease) >> 32 < kEpoch;
      if (!mine && !adopted) continue;
      item->second.holder = hello.worker;
      item->second.lease = lease;
      item->second.deadline = now_ + kLease;
      expected.push_back(lease);
    }
    for (auto& [id, item] : model_.items) {
      const bool kept = std::count(expected.begin(), expected.end(), item.lease) != 0;
      if (item.holder == hello.worker && !kept) Reopen(&item);
    }
    const auto kept = table_.Connect(++connection_, hello, now_);
    ASSERT_TRUE(kept.ok()) << kept.status();
    EXPECT_THAT(*kept, ::testing::UnorderedElementsAreArray(expected));
    model_.workers[hello.worker] = {connection_, true, false, std::min(hello.credits, kMaxCredits)};
  }
  void Disconnect() {
    const uint64_t connection = random_.Below(connection_ + 1);
    table_.Disconnect(connection, now_);
    for (auto& [name, worker] : model_.workers) {
      if (worker.connection != connection || !worker.connected) continue;
      worker.connected = false;
      worker.credits = 0;
      for (auto& [id, item] : model_.items) {
        if (item.holder == name) item.deadline = std::min(item.deadline, now_ + kGrace);
      }
    }
  }
  void Leave() {
    const std::string name = Name();
    size_t returned = 0;
    if (model_.workers.contains(name) && model_.workers[name].credits == 0) {
      returned = Return(name, model_.LeasesOf(name));
    }
    EXPECT_EQ(table_.Leave(name), returned);
  }
  void SetCredits() {
    const std::string name = Name();
    const auto credits = static_cast<uint32_t>(random_.Below(kMaxCredits + 3));
    table_.SetCredits(name, credits);
    const auto worker = model_.workers.find(name);
    if (worker == model_.workers.end() || !worker->second.connected) return;
    worker->second.credits = std::min(credits, kMaxCredits);
    worker->second.silent = false;
  }
  void Renew() {
    const std::string name = Name();
    const std::vector<LeaseId> leases = SomeLeases(name);
    std::vector<LeaseId> lost;
    for (const LeaseId lease : leases) {
      OpenItem* item = model_.Held(name, lease);
      if (item == nullptr) {
        lost.push_back(lease);
      } else {
        item->deadline = now_ + kLease;
      }
    }
    EXPECT_EQ(table_.Renew(name, leases, now_), lost);
    Heard(name);
  }
  size_t Return(const std::string& name, const std::vector<LeaseId>& leases) {
    size_t returned = 0;
    for (const LeaseId lease : leases) {
      OpenItem* item = model_.Held(name, lease);
      if (item == nullptr) continue;
      Reopen(item);
      ++returned;
    }
    Heard(name);
    return returned;
  }
  void GiveBack() {
    const std::string name = Name();
    const std::vector<LeaseId> leases = SomeLeases(name);
    const size_t returned = Return(name, leases);
    EXPECT_EQ(table_.GiveBack(name, leases), returned);
  }
  void Holds() {
    const std::string name = Name();
    const ItemId item = AnyItem();
    const LeaseId lease = random_.Below(2) == 0 && model_.items.contains(item)
                              ? model_.items[item].lease
                              : AnyLease();
    const bool holds = model_.items.contains(item) && model_.items[item].holder == name &&
                       model_.items[item].lease == lease;
    const uint64_t fenced = table_.counters().fenced, epoch = table_.counters().fenced_epoch;
    EXPECT_EQ(table_.Holds(name, lease, item), holds);
    EXPECT_EQ(table_.counters().fenced, fenced + (holds ? 0 : 1));
    const bool earlier = !holds && Number(lease) >> 32 < kEpoch;
    EXPECT_EQ(table_.counters().fenced_epoch, epoch + (earlier ? 1 : 0));
    Heard(name);
  }
  void Expire() {
    std::map<LeaseId, std::string> expected, expired;
    for (auto& [id, item] : model_.items) {
      if (item.holder.empty() || item.deadline > now_) continue;
      expected[item.lease] = item.holder;
      model_.workers[item.holder].silent = true;
      Reopen(&item);
    }
    for (const LeaseTable::Granted& gone : table_.Expire(now_)) expired[gone.lease] = gone.worker;
    EXPECT_EQ(expired, expected);
  }
  void RevokeAll() {
    size_t held = 0;
    for (auto& [id, item] : model_.items) {
      held += item.holder.empty() ? 0 : 1;
      Reopen(&item);
    }
    EXPECT_EQ(table_.RevokeAll().size(), held);
  }

  RandomStream random_;
  LeaseTable table_{{.lease = kLease,
                     .stall = absl::InfiniteDuration(),
                     .disconnect_grace = kGrace,
                     .epoch = kEpoch,
                     .max_credits = kMaxCredits}};
  Model model_;
  absl::Duration now_ = absl::Seconds(100);
  uint64_t connection_ = 0;
  std::vector<LeaseId> given_;
};

TEST(LeaseTable, FollowsItsRulesThroughAnyHistory) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    History history(seed);
    for (int step = 0; step < 250; ++step) {
      SCOPED_TRACE(absl::StrCat("seed ", seed, ", step ", step));
      history.Step();
      if (step % 2 == 0) history.Grant();
      history.ExpectEqual();
      if (::testing::Test::HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace attnrl::scheduler
