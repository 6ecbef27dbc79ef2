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

void LeaseTable::Open(uint32_t version, ItemId item, const ItemSize& size) {
  // The run names an item each time that its problem advances; one that is leased must not become
  // ready a second time.
  if (lease_of_item_.contains(item) || in_line_.contains(item)) return;
  in_line_.emplace(item, line_.insert(Turn{version, item, size}).first);
}

void LeaseTable::Close(ItemId item) {
  tried_.erase(item);
  if (auto ready = in_line_.find(item); ready != in_line_.end()) {
    line_.erase(ready->second);
    in_line_.erase(ready);
  }
  if (auto held = lease_of_item_.find(item); held != lease_of_item_.end()) {
    ++counters_.completed;
    workers_[leases_[held->second].worker].finished = true;
    Release(held->second, /*reopen=*/false);
  }
}

void LeaseTable::NoteSent(const std::string& name, LeaseId lease) {
  const auto held = leases_.find(lease);
  if (held == leases_.end() || held->second.worker != name || held->second.sent) return;
  const auto found = workers_.find(name);
  Worker& worker = found->second;
  if (worker.sent >= worker.credits) return;
  held->second.sent = true;
  ++worker.sent;
  Uncount(held->second, worker);
  Rank(found);
}

void LeaseTable::Take(LeaseId lease, const std::string& name, Turn turn, absl::Duration now) {
  const auto ready = in_line_.find(turn.item);
  line_.erase(ready->second);
  in_line_.erase(ready);
  const auto found = workers_.find(name);
  Worker& worker = found->second;
  const uint32_t samples = std::max(1u, turn.size.samples);
  const uint32_t surplus = (samples + worker.unit - 1) / worker.unit - 1;
  leases_[lease] = Held{.worker = name,
                        .turn = turn,
                        .surplus = surplus,
                        .counted = worker.counted,
                        .deadline = now + options_.lease,
                        .since = now};
  lease_of_item_[turn.item] = lease;
  if (worker.leases.empty()) worker.progress = now;
  worker.leases.insert(lease);
  worker.tokens += turn.size.tokens;
  worker.newest = samples;
  worker.surplus += surplus;
  worker.version = turn.version;
  Rank(found);
}

void LeaseTable::Release(LeaseId lease, bool reopen) {
  auto held = leases_.find(lease);
  const Held gone = std::move(held->second);
  leases_.erase(held);
  lease_of_item_.erase(gone.turn.item);
  const auto found = workers_.find(gone.worker);
  Worker& worker = found->second;
  worker.leases.erase(lease);
  if (gone.sent) {
    --worker.sent;
  } else {
    Uncount(gone, worker);
  }
  Rank(found);
  if (reopen) Open(gone.turn.version, gone.turn.item, gone.turn.size);
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
  const auto found = workers_.try_emplace(hello.worker).first;
  Worker& worker = found->second;
  worker.connection = connection;
  worker.connected = true;
  worker.silent = worker.refused = false;
  worker.progress = worker.seen = now;
  worker.parked.clear();
  worker.capacity = hello.capacity;
  worker.credits = std::min(hello.credits, options_.max_credits);
  worker.unit = 1;
  worker.surplus = 0;
  ++worker.counted;

  // What the worker says it holds is believed only where nobody else has it: a lease of this
  // process must still be its own; one of an earlier process, which took its table with it, is
  // adopted while the item is free. A lease of this epoch that is not in the table has been lost.
  std::set<LeaseId> kept;
  for (const LeaseRef& ref : hello.held) {
    auto held = leases_.find(ref.lease);
    if (held != leases_.end()) {
      if (held->second.worker != hello.worker || held->second.turn.item != ref.item) continue;
      held->second.deadline = now + options_.lease;
      kept.insert(ref.lease);
      continue;
    }
    auto ready = in_line_.find(ref.item);
    if (ready == in_line_.end() || EpochOf(ref.lease) >= options_.epoch) continue;
    Take(ref.lease, hello.worker, *ready->second, now);
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
  Rank(found);
  return std::vector<LeaseId>(kept.begin(), kept.end());
}

void LeaseTable::Disconnect(uint64_t connection, absl::Duration now) {
  for (auto it = workers_.begin(); it != workers_.end(); ++it) {
    Worker& worker = it->second;
    if (worker.connection != connection || !worker.connected) continue;
    worker.connected = false;
    worker.credits = 0;
    Rank(it);
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
  found->second.unit = found->second.newest;
  found->second.surplus = 0;
  ++found->second.counted;
  found->second.silent = false;
  Rank(found);
}

void LeaseTable::NoteSeen(const std::string& worker, absl::Duration now) {
  auto found = workers_.find(worker);
  if (found != workers_.end()) found->second.seen = now;
}

void LeaseTable::Heard(const std::string& worker) {
  auto found = workers_.find(worker);
  if (found == workers_.end() || !found->second.silent) return;
  found->second.silent = false;
  Rank(found);
}

void LeaseTable::Uncount(const Held& held, Worker& worker) {
  worker.tokens -= held.turn.size.tokens;
  if (held.counted == worker.counted) worker.surplus -= held.surplus;
}

size_t LeaseTable::Used(const Worker& worker) {
  return worker.leases.size() - worker.sent + worker.surplus;
}

bool LeaseTable::TakesWork(const Worker& worker) {
  return worker.connected && !worker.silent && !worker.refused && worker.parked.empty() &&
         worker.credits > 0;
}

bool LeaseTable::TakesMore(const Worker& worker) {
  return TakesWork(worker) && Used(worker) < worker.credits;
}

void LeaseTable::Rank(std::map<std::string, Worker>::iterator found) {
  Worker& worker = found->second;
  if (worker.load) takers_.erase(*worker.load);
  worker.load.reset();
  if (!TakesMore(worker)) return;
  const double share = static_cast<double>(Used(worker)) / worker.credits;
  takers_.insert(*(worker.load = Load{share, worker.tokens, found->first}));
}

std::map<std::string, LeaseTable::Worker>::iterator LeaseTable::PickWorker(ItemId item) {
  const std::set<std::string> avoided = Avoided(item);
  const auto least = std::find_if(takers_.begin(), takers_.end(), [&](const Load& load) {
    return avoided.empty() || !avoided.contains(std::string(load.name));
  });
  if (least == takers_.end()) return workers_.end();
  const uint64_t problem = ProblemOf(item);
  // Before the reference: the one that goes may be the newest problem itself.
  if (homes_.size() >= kMaxHomes && !homes_.contains(problem)) homes_.erase(homes_.begin());
  std::string& home = homes_[problem];
  const auto found = workers_.find(home);
  if (found != workers_.end() && found->second.load && !avoided.contains(home) &&
      StaysHome(*found->second.load, *least, line_.size() < takers_.size())) {
    return found;
  }
  home = least->name;
  return workers_.find(home);
}

std::vector<LeaseTable::Granted> LeaseTable::Grant(absl::Duration now) {
  std::vector<Granted> granted;
  for (auto next = line_.begin(); next != line_.end() && !takers_.empty();) {
    const Turn turn = *next++;
    auto worker = PickWorker(turn.item);
    if (worker == workers_.end()) {
      // One that waits for a worker that has not tried it in vain holds up nothing else.
      if (tried_.contains(turn.item)) continue;
      break;
    }
    // The epoch keeps the numbers of different processes apart, so a late result of an earlier one
    // can never pass for a lease of this one.
    const LeaseId lease{(uint64_t{options_.epoch} << 32) | next_++};
    Take(lease, worker->first, turn, now);
    ++counters_.granted;
    granted.push_back(Granted{worker->first, lease, turn.item, LimitOf(turn.item)});
  }
  return granted;
}

// Twice as much each time, so that an item ends that is longer than anybody is quick.
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
    if (late) tried_[held->second.turn.item].late.push_back(worker);
    Release(lease, /*reopen=*/true);
    ++counters_.returned;
    ++returned;
  }
  return returned;
}

size_t LeaseTable::Fail(const std::string& worker, LeaseId lease) {
  auto held = leases_.find(lease);
  if (held == leases_.end() || held->second.worker != worker) return 0;
  const ItemId item = held->second.turn.item;
  Release(lease, /*reopen=*/true);
  ++counters_.returned;
  tried_[item].failed.push_back(worker);
  return tried_[item].failed.size();
}

void LeaseTable::Refuse(const std::string& worker) {
  auto found = workers_.find(worker);
  if (found == workers_.end()) return;
  found->second.refused = true;
  Rank(found);
  GiveBack(worker, {found->second.leases.begin(), found->second.leases.end()});
}

void LeaseTable::ParkStalled(absl::Duration now) {
  for (auto it = workers_.begin(); it != workers_.end(); ++it) {
    Worker& worker = it->second;
    if (std::exchange(worker.finished, false)) worker.progress = now;
    if (!worker.parked.empty() && worker.parked_until <= now) {
      worker.parked.clear();
      Rank(it);
    }
    if (worker.leases.empty() || now - worker.progress < options_.stall) continue;
    worker.parked = absl::StrCat("no token in ", absl::FormatDuration(now - worker.progress),
                                 " with ", worker.leases.size(), " leases");
    worker.parked_until = now + options_.stall;
    Rank(it);
    for (const LeaseId lease : worker.leases) leases_[lease].deadline = now;
  }
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
    if (held.deadline <= now) expired.push_back(Granted{held.worker, lease, held.turn.item});
  }
  // A worker that hangs would otherwise be granted the same items again at once.
  for (const Granted& gone : expired) {
    workers_[gone.worker].silent = true;  // Release ranks it
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
    revoked.push_back(Granted{held.worker, lease, held.turn.item});
  }
  for (const Granted& gone : revoked) Release(gone.lease, /*reopen=*/true);
  counters_.returned += revoked.size();
  return revoked;
}

bool LeaseTable::Holds(const std::string& worker, LeaseId lease, ItemId item) {
  Heard(worker);
  auto held = leases_.find(lease);
  if (held != leases_.end() && held->second.worker == worker && held->second.turn.item == item) {
    return true;
  }
  // Those of an earlier process are counted apart: they are normal after a restart.
  ++counters_.fenced;
  if (EpochOf(lease) < options_.epoch) ++counters_.fenced_epoch;
  return false;
}

}  // namespace attnrl::scheduler
