// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/work/leases.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/branch_scheduler/item_id.h"

namespace attnrl::scheduler {
namespace {

uint64_t EpochOf(LeaseId lease) { return Number(lease) >> 32; }

}  // namespace

void LeaseTable::Open(uint32_t version, ItemId item) {
  // The run names an item each time that its problem advances; one that is leased must not become
  // ready a second time.
  if (lease_of_item_.contains(item) || ready_version_.contains(item)) return;
  ready_.emplace(version, item);
  ready_version_.emplace(item, version);
}

void LeaseTable::Close(ItemId item) {
  tried_.erase(item);
  if (auto ready = ready_version_.find(item); ready != ready_version_.end()) {
    ready_.erase({ready->second, item});
    ready_version_.erase(ready);
  }
  if (auto held = lease_of_item_.find(item); held != lease_of_item_.end()) {
    ++counters_.completed;
    workers_[leases_[held->second].worker].finished = true;
    Release(held->second, /*reopen=*/false);
  }
}

void LeaseTable::Take(LeaseId lease, const std::string& worker, uint32_t version, ItemId item,
                      absl::Duration now) {
  ready_.erase({version, item});
  ready_version_.erase(item);
  leases_[lease] = Held{worker, item, version, now + options_.lease, now};
  if (workers_[worker].leases.empty()) workers_[worker].progress = now;
  lease_of_item_[item] = lease;
  workers_[worker].leases.insert(lease);
  workers_[worker].version = version;
}

void LeaseTable::Release(LeaseId lease, bool reopen) {
  auto held = leases_.find(lease);
  const Held gone = std::move(held->second);
  leases_.erase(held);
  lease_of_item_.erase(gone.item);
  workers_[gone.worker].leases.erase(lease);
  if (reopen) Open(gone.version, gone.item);
}

absl::StatusOr<std::vector<LeaseId>> LeaseTable::Connect(uint64_t connection, const Register& hello,
                                                         absl::Duration now) {
  if (hello.worker.empty()) {
    return absl::InvalidArgumentError("register: the worker has no name; a unique one is needed");
  }
  if (options_.same_numerics) {
    if (hello.numerics_id.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "register: worker ", hello.worker, " has no numerics_id; a deterministic run needs one"));
    }
    if (!options_.numerics_id.empty() && options_.numerics_id != hello.numerics_id) {
      return absl::FailedPreconditionError(
          absl::StrCat("register: worker ", hello.worker, " computes as '", hello.numerics_id,
                       "', this deterministic run as '", options_.numerics_id,
                       "'; with rollout.deterministic all workers of a run must compute alike"));
    }
    // The first worker of the run decides; the scheduler stores its id for the next process.
    options_.numerics_id = hello.numerics_id;
  }
  Worker& worker = workers_[hello.worker];
  worker.connection = connection;
  worker.connected = true;
  worker.silent = worker.refused = false;
  worker.progress = worker.seen = now;
  worker.parked.clear();
  worker.capacity = hello.capacity;
  worker.credits = std::min(hello.credits, options_.max_credits);

  // What the worker says it holds is believed only where nobody else has it: a lease of this
  // process must still be its own; one of an earlier process, which took its table with it, is
  // adopted while the item is free. A lease of this epoch that is not in the table has been lost.
  std::set<LeaseId> kept;
  for (const LeaseRef& ref : hello.held) {
    auto held = leases_.find(ref.lease);
    if (held != leases_.end()) {
      if (held->second.worker != hello.worker || held->second.item != ref.item) continue;
      held->second.deadline = now + options_.lease;
      kept.insert(ref.lease);
      continue;
    }
    auto ready = ready_version_.find(ref.item);
    if (ready == ready_version_.end() || EpochOf(ref.lease) >= options_.epoch) continue;
    Take(ref.lease, hello.worker, ready->second, ref.item, now);
    ++counters_.adopted;
    kept.insert(ref.lease);
  }
  // What it no longer names (it was restarted, say) nobody works on: ready now, not after its time.
  const std::set<LeaseId> before = worker.leases;
  for (LeaseId lease : before) {
    if (kept.contains(lease)) continue;
    ++counters_.returned;
    Release(lease, /*reopen=*/true);
  }
  return std::vector<LeaseId>(kept.begin(), kept.end());
}

void LeaseTable::Disconnect(uint64_t connection, absl::Duration now) {
  for (auto& [name, worker] : workers_) {
    if (worker.connection != connection || !worker.connected) continue;
    worker.connected = false;
    worker.credits = 0;
    for (LeaseId lease : worker.leases) {
      Held& held = leases_[lease];
      // Never extended: a stream that breaks again and again would keep its leases without
      // renewing.
      held.deadline = std::min(held.deadline, now + options_.disconnect_grace);
    }
  }
}

size_t LeaseTable::Leave(const std::string& worker) {
  auto found = workers_.find(worker);
  if (found == workers_.end() || found->second.credits != 0) return 0;
  return GiveBack(worker, {found->second.leases.begin(), found->second.leases.end()});
}

void LeaseTable::SetCredits(const std::string& worker, uint32_t credits) {
  auto found = workers_.find(worker);
  if (found == workers_.end() || !found->second.connected) return;
  found->second.credits = std::min(credits, options_.max_credits);
  found->second.silent = false;
}

void LeaseTable::NoteSeen(const std::string& worker, absl::Duration now) {
  auto found = workers_.find(worker);
  if (found != workers_.end()) found->second.seen = now;
}

void LeaseTable::Heard(const std::string& worker) {
  auto found = workers_.find(worker);
  if (found != workers_.end()) found->second.silent = false;
}

bool LeaseTable::TakesMore(const Worker& worker) {
  return worker.connected && !worker.silent && !worker.refused && worker.parked.empty() &&
         worker.leases.size() < worker.credits;
}

std::set<std::string> LeaseTable::Avoided(ItemId item) const {
  const auto tried = tried_.find(item);
  if (tried == tried_.end()) return {};
  std::set<std::string> names(tried->second.failed.begin(), tried->second.failed.end());
  names.insert(tried->second.late.begin(), tried->second.late.end());
  const bool others = std::any_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
    return entry.second.connected && !entry.second.refused && !names.contains(entry.first);
  });
  return others ? names : std::set<std::string>();
}

std::map<std::string, LeaseTable::Worker>::iterator LeaseTable::PickWorker(ItemId item) {
  const std::set<std::string> avoided = Avoided(item);
  auto best = workers_.end();
  for (auto it = workers_.begin(); it != workers_.end(); ++it) {
    const Worker& worker = it->second;
    if (!TakesMore(worker) || avoided.contains(it->first)) continue;
    // leases / credits, compared without division.
    if (best == workers_.end() ||
        worker.leases.size() * best->second.credits < best->second.leases.size() * worker.credits) {
      best = it;
    }
  }
  if (best == workers_.end()) return best;
  std::string& home = homes_[ProblemOf(item)];
  if (homes_.size() > kMaxHomes) homes_.erase(homes_.begin());
  const auto found = workers_.find(home);
  if (found != workers_.end() && TakesMore(found->second) && !avoided.contains(home)) {
    // Its share of credits in use exceeds the smallest by a quarter at most.
    const Worker& worker = found->second;
    const auto share = [](const Worker& w) {
      return static_cast<double>(w.leases.size()) / static_cast<double>(w.credits);
    };
    if (share(worker) <= share(best->second) + 0.25) return found;
  }
  home = best->first;
  return best;
}

std::optional<ItemId> LeaseTable::next_item() const {
  if (ready_.empty()) return std::nullopt;
  return ready_.begin()->second;
}

std::vector<LeaseTable::Granted> LeaseTable::Grant(absl::Duration now) {
  std::vector<Granted> granted;
  for (auto next = ready_.begin(); next != ready_.end();) {
    const auto [version, item] = *next++;
    auto worker = PickWorker(item);
    if (worker == workers_.end()) {
      // One that waits for a worker that has not tried it in vain holds up nothing else.
      if (tried_.contains(item)) continue;
      break;
    }
    // The epoch keeps the numbers of different processes apart, so a late result of an earlier one
    // can never pass for a lease of this one.
    const LeaseId lease{(uint64_t{options_.epoch} << 32) | next_++};
    Take(lease, worker->first, version, item, now);
    ++counters_.granted;
    granted.push_back(Granted{worker->first, lease, item, LimitOf(item)});
  }
  return granted;
}

// Twice as much each time, so that an item ends that is longer than anybody is quick.
absl::Duration LeaseTable::LimitOf(ItemId item) const {
  const auto tried = tried_.find(item);
  const size_t late = tried == tried_.end() ? 0 : tried->second.late.size();
  return options_.item_limit * static_cast<int64_t>(uint64_t{1} << std::min<size_t>(late, 20));
}

std::vector<LeaseId> LeaseTable::Renew(const std::string& worker,
                                       const std::vector<LeaseId>& leases, absl::Duration now,
                                       const std::vector<uint64_t>& tokens) {
  Heard(worker);
  bool progress = tokens.empty();
  std::vector<LeaseId> lost;
  for (size_t i = 0; i < leases.size(); ++i) {
    const LeaseId lease = leases[i];
    auto held = leases_.find(lease);
    if (held == leases_.end() || held->second.worker != worker) {
      lost.push_back(lease);
      continue;
    }
    held->second.deadline = now + options_.lease;
    ++counters_.renewed;
    if (i >= tokens.size()) continue;
    if (tokens[i] > held->second.tokens) {
      progress = true;
      counters_.tokens += tokens[i] - held->second.tokens;
    }
    held->second.tokens = tokens[i];
  }
  if (auto found = workers_.find(worker); progress && found != workers_.end()) {
    found->second.progress = now;
  }
  return lost;
}

size_t LeaseTable::GiveBack(const std::string& worker, const std::vector<LeaseId>& leases,
                            bool late) {
  Heard(worker);
  size_t returned = 0;
  for (LeaseId lease : leases) {
    auto held = leases_.find(lease);
    if (held == leases_.end() || held->second.worker != worker) continue;
    if (late) tried_[held->second.item].late.push_back(worker);
    Release(lease, /*reopen=*/true);
    ++counters_.returned;
    ++returned;
  }
  return returned;
}

std::optional<ItemId> LeaseTable::ItemOf(LeaseId lease) const {
  const auto held = leases_.find(lease);
  return held == leases_.end() ? std::nullopt : std::optional<ItemId>(held->second.item);
}

size_t LeaseTable::Fail(const std::string& worker, LeaseId lease) {
  auto held = leases_.find(lease);
  if (held == leases_.end() || held->second.worker != worker) return 0;
  const ItemId item = held->second.item;
  Release(lease, /*reopen=*/true);
  ++counters_.returned;
  tried_[item].failed.push_back(worker);
  return tried_[item].failed.size();
}

void LeaseTable::Refuse(const std::string& worker) {
  auto found = workers_.find(worker);
  if (found == workers_.end()) return;
  found->second.refused = true;
  GiveBack(worker, {found->second.leases.begin(), found->second.leases.end()});
}

void LeaseTable::ParkStalled(absl::Duration now) {
  for (auto& [name, worker] : workers_) {
    if (std::exchange(worker.finished, false)) worker.progress = now;
    if (!worker.parked.empty() && worker.parked_until <= now) worker.parked.clear();
    if (worker.leases.empty() || now - worker.progress < options_.stall) continue;
    worker.parked = absl::StrCat("no token in ", absl::FormatDuration(now - worker.progress),
                                 " with ", worker.leases.size(), " leases");
    worker.parked_until = now + options_.stall;
    for (const LeaseId lease : worker.leases) leases_[lease].deadline = now;
  }
}

std::optional<LeaseTable::Oldest> LeaseTable::oldest(absl::Duration now) const {
  const auto first = std::min_element(
      leases_.begin(), leases_.end(),
      [](const auto& a, const auto& b) { return a.second.since < b.second.since; });
  if (first == leases_.end()) return std::nullopt;
  const Held& held = first->second;
  return Oldest{held.worker, first->first, held.item, now - held.since, held.tokens};
}

void LeaseTable::Extend(absl::Duration pause) {
  for (auto& [lease, held] : leases_) held.deadline += pause;
  for (auto& [name, worker] : workers_) {
    worker.progress += pause;
    worker.parked_until += pause;
  }
}

std::vector<LeaseTable::Granted> LeaseTable::Expire(absl::Duration now) {
  ParkStalled(now);
  std::vector<Granted> expired;
  for (const auto& [lease, held] : leases_) {
    if (held.deadline <= now) expired.push_back(Granted{held.worker, lease, held.item});
  }
  // A worker that hangs would otherwise be granted the same items again at once.
  for (const Granted& gone : expired) {
    workers_[gone.worker].silent = true;
    Release(gone.lease, /*reopen=*/true);
  }
  counters_.expired += expired.size();
  // Workers may come under new names for the life of the run.
  std::erase_if(workers_, [](const auto& entry) {
    return !entry.second.connected && entry.second.leases.empty();
  });
  return expired;
}

std::vector<LeaseTable::Granted> LeaseTable::RevokeAll() {
  std::vector<Granted> revoked;
  for (const auto& [lease, held] : leases_) {
    revoked.push_back(Granted{held.worker, lease, held.item});
  }
  for (const Granted& gone : revoked) Release(gone.lease, /*reopen=*/true);
  counters_.returned += revoked.size();
  return revoked;
}

bool LeaseTable::Holds(const std::string& worker, LeaseId lease, ItemId item) {
  Heard(worker);
  auto held = leases_.find(lease);
  if (held != leases_.end() && held->second.worker == worker && held->second.item == item) {
    return true;
  }
  // Those of an earlier process are counted apart: they are normal after a restart.
  ++counters_.fenced;
  if (EpochOf(lease) < options_.epoch) ++counters_.fenced_epoch;
  return false;
}

std::vector<WorkerStatus> LeaseTable::Workers(absl::Duration now) const {
  std::vector<WorkerStatus> all;
  for (const auto& [name, worker] : workers_) {
    if (!worker.connected) continue;
    WorkerStatus status;
    status.worker = name;
    status.capacity = worker.capacity;
    status.leases = static_cast<uint32_t>(worker.leases.size());
    status.version = worker.version;
    status.last_seen_seconds = absl::ToDoubleSeconds(now - worker.seen);
    status.parked = worker.refused ? "a result of it was refused" : worker.parked;
    all.push_back(status);
  }
  return all;
}

}  // namespace attnrl::scheduler
