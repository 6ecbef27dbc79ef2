// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/branch_scheduler/types.h"
#include "services/branch_scheduler/work/placement.h"

namespace attnrl::scheduler {

// Leases that one worker may hold at most, whatever credits it grants.
inline constexpr uint32_t kMaxLeasesOfWorker = 4096;

struct LeaseOptions {
  // A lease that is not renewed for this long ends.
  absl::Duration lease = absl::Seconds(60);
  // What a worker may take for an item, twice as much for each worker that was late with it; 0: no
  // limit.
  absl::Duration item_limit = absl::ZeroDuration();
  // A worker that reports its tokens and has none more for this long, over all its leases, loses
  // them and rests for as long.
  absl::Duration stall = absl::Seconds(120);
  // A worker whose stream broke keeps its leases for this long at most, so that it can come back.
  absl::Duration disconnect_grace = absl::Seconds(10);
  // Grows with every start of the scheduler; the upper half of every lease number.
  uint32_t epoch = 1;
  // All workers must announce the same numerics_id (rollout.deterministic).
  bool same_numerics = false;
  // The id that earlier workers of the run announced; empty while there was none.
  std::string numerics_id = {};
  uint32_t max_credits = kMaxLeasesOfWorker;
};

// Who works on what. Holds the runnable items that nobody has, the leases, and the connected
// workers; all in memory, because a restarted scheduler finds the open items from its database and
// the leases from what its workers still hold. Not thread-safe. Time is passed in (monotonic).
//
// Items are handed out in the order of Turn, each to the connected worker with the smallest Load,
// or to the one that last got an item of the same problem (StaysHome), since it holds the keys and
// values of the prompt and maybe of the response. A worker takes as many as its credits say, which
// it counts in leases like the newest that it knew then: a larger item counts for several. Nothing
// here influences what a run learns.
class LeaseTable {
 public:
  struct Granted {
    std::string worker;
    LeaseId lease = {};
    ItemId item = {};
    absl::Duration limit = absl::ZeroDuration();  // until the worker is late; 0: none
  };
  struct Counters {
    uint64_t granted = 0, renewed = 0, completed = 0, expired = 0, returned = 0, adopted = 0;
    // Results of leases that were lost; those of an earlier scheduler's leases among them.
    uint64_t fenced = 0, fenced_epoch = 0;
    uint64_t duplicate = 0;  // results that were durable already
    uint64_t tokens = 0;     // sampled, by what renewals said
  };

  explicit LeaseTable(LeaseOptions options) : options_(std::move(options)) {}

  // The item is runnable under W(version). Nothing happens when it is open already.
  void Open(uint32_t version, ItemId item, const ItemSize& size = {});
  // The item's result is there, or it isn't needed any more: it and its lease are gone.
  void Close(ItemId item);
  // The lease's result is here, but not durable yet: it makes room for another one, at as many
  // leases of a worker as it has credits.
  void NoteSent(const std::string& worker, LeaseId lease);

  // A worker's new stream `connection` (unique). Ends an earlier stream of the same name; its
  // leases that it no longer holds are handed out again. A held lease of an earlier epoch is
  // adopted when its item is open and nobody has it. Returns the leases that are the worker's.
  // FAILED_PRECONDITION: another numerics_id than the run's. INVALID_ARGUMENT: no name.
  absl::StatusOr<std::vector<LeaseId>> Connect(uint64_t connection, const Register& hello,
                                               absl::Duration now);
  // The stream is gone. Ignored when the worker has a newer one.
  void Disconnect(uint64_t connection, absl::Duration now);
  // A worker that wants no credits and has left in order holds nothing any more: its leases are
  // given back. Their number; 0 for a worker that still wants credits, whose connection broke.
  size_t Leave(const std::string& worker);
  void SetCredits(const std::string& worker, uint32_t credits);
  // Some lease that the worker names is its own.
  bool HoldsAny(const Register& hello) const;
  // Something came from the worker.
  void NoteSeen(const std::string& worker, absl::Duration now);

  // As many leases as items and credits allow, in order.
  std::vector<Granted> Grant(absl::Duration now);
  // Leases among these that are not the worker's (any more): it must stop working on them. `tokens`
  // are those sampled so far, one a lease; without them the renewal itself counts as progress.
  std::vector<LeaseId> Renew(const std::string& worker, const std::vector<LeaseId>& leases,
                             absl::Duration now, const std::vector<uint64_t>& tokens = {});
  // The items are handed out again; where the worker was late, to one that wasn't if such a one
  // takes work, and with more time. Returns how many of the leases were the worker's.
  size_t GiveBack(const std::string& worker, const std::vector<LeaseId>& leases, bool late = false);
  // The worker could not do the lease's item, or has done it wrong: the item is handed out again,
  // to a worker that has not failed it if one takes work. How many have failed it by now; 0 where
  // the lease was not the worker's.
  size_t Fail(const std::string& worker, LeaseId lease);
  // The worker gets nothing more until it connects again; what it has is given back.
  void Refuse(const std::string& worker);
  // nullopt: there is no such lease.
  std::optional<ItemId> ItemOf(LeaseId lease) const;
  // Nobody could be heard for so long: every lease lasts so much longer, and so does the patience
  // with workers.
  void Extend(absl::Duration pause);
  // Ends the leases whose time is up, and all of a worker that makes no progress; returns them.
  std::vector<Granted> Expire(absl::Duration now);
  // Ends every lease (at the end of a drain) and returns them.
  std::vector<Granted> RevokeAll();
  // True when the worker may write the item's result with this lease. Counts a refusal.
  bool Holds(const std::string& worker, LeaseId lease, ItemId item);
  // A result came again because its acknowledgement was lost.
  void NoteDuplicate() { ++counters_.duplicate; }

  // Runnable items, handed out or not.
  size_t open_items() const { return line_.size() + leases_.size(); }
  // Runnable items that nobody holds, for tests.
  size_t ready_items() const { return line_.size(); }
  // The item that is handed out next; nullopt when every runnable one is leased.
  std::optional<ItemId> next_item() const;
  size_t active_leases() const { return leases_.size(); }
  const Counters& counters() const { return counters_; }
  const std::string& numerics_id() const { return options_.numerics_id; }
  // The lease that is held longest.
  struct Oldest {
    std::string worker;
    LeaseId lease = {};
    ItemId item = {};
    absl::Duration age;
    uint64_t tokens = 0;
  };
  std::optional<Oldest> oldest(absl::Duration now) const;
  // Connected workers in order of their names: all but what they have done.
  std::vector<WorkerStatus> Workers(absl::Duration now) const;

 private:
  struct Held {
    std::string worker;
    Turn turn = {};
    bool sent = false;
    uint32_t surplus = 0;  // for how many more leases than one it counts
    uint64_t counted = 0;  // its worker's, when it began
    absl::Duration deadline;
    absl::Duration since = absl::ZeroDuration();
    uint64_t tokens = 0;  // as last reported
  };
  struct Worker {
    uint64_t connection = 0;
    bool connected = false;
    // One of its leases expired and it was not heard of since: it gets nothing until it speaks.
    bool silent = false;
    bool refused = false;
    // When it last got a first lease, sampled a token or finished an item.
    absl::Duration progress = absl::ZeroDuration();
    bool finished = false;  // an item, since `progress` was last looked at
    absl::Duration seen = absl::ZeroDuration();
    std::optional<uint32_t> version;  // that its newest lease needs
    std::string parked = {};
    absl::Duration parked_until = absl::ZeroDuration();
    uint32_t capacity = 0;
    uint32_t credits = 0;
    std::set<LeaseId> leases;
    size_t sent = 0;           // of the leases
    uint64_t tokens = 0;       // expected, of all leases
    uint32_t newest = 1;       // samples of the newest lease
    uint32_t unit = 1;         // samples of a lease, as its credits count them
    uint32_t surplus = 0;      // of the leases since then
    uint64_t counted = 0;      // times that it said its credits
    std::optional<Load> load;  // in takers_
  };

  // `turn` by value: it is one of line_, where there is one.
  void Take(LeaseId lease, const std::string& worker, Turn turn, absl::Duration now);
  // Ends the lease; its item becomes ready again if `reopen`.
  void Release(LeaseId lease, bool reopen);
  void Heard(const std::string& worker);
  absl::Duration LimitOf(ItemId item) const;
  // Parks the workers that make no progress; their leases are then up.
  void ParkStalled(absl::Duration now);
  // A lease that takes no part of its worker's credits any more.
  static void Uncount(const Held& held, Worker& worker);
  // How much of its credits is in use.
  static size_t Used(const Worker& worker);
  // It takes leases, though it may have as many as it wants just now.
  static bool TakesWork(const Worker& worker);
  static bool TakesMore(const Worker& worker);
  // Behind every change of a worker: its place in takers_.
  void Rank(std::map<std::string, Worker>::iterator worker);
  // The workers that failed the item or were late with it, where another takes work; else none.
  std::set<std::string> Avoided(ItemId item) const;
  // The worker that gets the item; end() when none takes it.
  std::map<std::string, Worker>::iterator PickWorker(ItemId item);

  LeaseOptions options_;
  uint32_t next_ = 1;  // lower half of the next lease number
  std::set<Turn> line_;
  std::map<ItemId, std::set<Turn>::iterator> in_line_;
  std::map<LeaseId, Held> leases_;
  std::map<ItemId, LeaseId> lease_of_item_;
  std::map<std::string, Worker> workers_;
  std::set<Load> takers_;  // of the workers that take more
  // Who failed an open item, and who was late with it.
  struct Tried {
    std::vector<std::string> failed;
    std::vector<std::string> late;
  };
  std::map<ItemId, Tried> tried_;
  // Who last got an item of a problem; the newest kMaxHomes problems.
  static constexpr size_t kMaxHomes = 1 << 16;
  std::map<uint64_t, std::string> homes_;
  Counters counters_;
};

}  // namespace attnrl::scheduler
