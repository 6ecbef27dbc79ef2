// SPDX-License-Identifier: Apache-2.0
// LeaseTable: what it says of itself.
#include <algorithm>

#include "services/branch_scheduler/work/leases.h"

namespace attnrl::scheduler {

bool LeaseTable::HoldsAny(const Register& hello) const {
  return std::any_of(hello.held.begin(), hello.held.end(), [&](const LeaseRef& ref) {
    const auto held = leases_.find(ref.lease);
    return held != leases_.end() && held->second.worker == hello.worker;
  });
}

std::optional<ItemId> LeaseTable::next_item() const {
  if (line_.empty()) return std::nullopt;
  return line_.begin()->item;
}

std::optional<ItemId> LeaseTable::ItemOf(LeaseId lease) const {
  const auto held = leases_.find(lease);
  return held == leases_.end() ? std::nullopt : std::optional<ItemId>(held->second.turn.item);
}

std::optional<LeaseTable::Oldest> LeaseTable::oldest(absl::Duration now) const {
  const auto first = std::min_element(
      leases_.begin(), leases_.end(),
      [](const auto& a, const auto& b) { return a.second.since < b.second.since; });
  if (first == leases_.end()) return std::nullopt;
  const Held& held = first->second;
  return Oldest{held.worker, first->first, held.turn.item, now - held.since, held.tokens};
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

std::set<std::string> LeaseTable::Avoided(ItemId item) const {
  const auto tried = tried_.find(item);
  if (tried == tried_.end()) return {};
  std::set<std::string> names(tried->second.failed.begin(), tried->second.failed.end());
  names.insert(tried->second.late.begin(), tried->second.late.end());
  const bool others = std::any_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
    return TakesWork(entry.second) && !names.contains(entry.first);
  });
  return others ? names : std::set<std::string>();
}

absl::Duration LeaseTable::LimitOf(ItemId item) const {
  const auto tried = tried_.find(item);
  const size_t late = tried == tried_.end() ? 0 : tried->second.late.size();
  return options_.item_limit * static_cast<int64_t>(uint64_t{1} << std::min<size_t>(late, 20));
}

}  // namespace attnrl::scheduler
