// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/version.h"
#include "services/learner/client/weight_client.h"

namespace attnrl::model {
class Transformer;
}

namespace attnrl::rollout {

using Weights = std::shared_ptr<const model::Transformer>;
// Makes a model of a version's bytes; must verify that they are what they claim to be. INTERNAL
// where this process can make none any more.
using WeightLoader = std::function<absl::StatusOr<Weights>(const learner::VersionData&)>;

struct WeightKeeperOptions {
  std::string name = "worker";  // spreads the back-off
  size_t capacity = 2;          // versions held at once: the current and the next one
  // Keep the bytes of the version fetched last, so that of the next one only what differs is sent.
  bool keep_base = false;
  absl::Duration fetch_deadline = absl::Seconds(120);  // of a fetch that makes no progress
  absl::Duration first_backoff = absl::Milliseconds(100);
  absl::Duration max_backoff = absl::Seconds(5);
  // Where loaded and dropped weights go. Called under the keeper's lock, so never out of order;
  // must be quick.
  std::function<void(uint32_t, Weights)> set = nullptr;
  std::function<void(uint32_t)> drop = nullptr;
  // Optional: a fetch has ended, and how long it and the loading took.
  std::function<void(const Version&, absl::Duration, const absl::Status&)> observe = nullptr;
};

// Holds the versions that the worker's leases need: fetches what is missing in a thread of its own,
// most urgent first, and drops what no lease needs. A failed or damaged fetch is tried again after
// a back-off, for as long as the version is wanted, and after the others that are missing, so that
// one that can't be had holds up no other; damaged weights are never passed on.
// Thread-safe. Memory: `capacity` versions, and one more while it is fetched; with
// keep_base the bytes of one.
class WeightKeeper {
 public:
  // `client` must outlive this; the destructor cancels it.
  WeightKeeper(WeightKeeperOptions options, learner::WeightClient& client, WeightLoader load,
               const Clock& clock = Clock::Real());
  ~WeightKeeper();
  WeightKeeper(const WeightKeeper&) = delete;
  WeightKeeper& operator=(const WeightKeeper&) = delete;

  // The versions needed from now on, most urgent first; those beyond `capacity` wait.
  void Want(std::vector<Version> versions);
  bool Holds(const Version& version) const;
  // Why a wanted version isn't there, and since when (monotonic) no fetch of it has succeeded.
  struct Trouble {
    Version version = {};
    std::string reason = {};
    absl::Duration since = absl::ZeroDuration();
    bool fatal = false;  // no other try of this process can succeed
  };
  // Of the wanted versions that are not there, most urgent first; without those whose first fetch
  // is still to come or under way.
  std::vector<Trouble> troubles() const;

 private:
  void Run();
  bool Changed() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<Version> Missing() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  size_t MissingCount() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status FetchOne(const Version& version);

  const WeightKeeperOptions options_;
  learner::WeightClient& client_;
  const WeightLoader load_;
  const Clock& clock_;
  // The keeper's thread only.
  Backoff backoff_;
  std::shared_ptr<const learner::VersionData> base_;

  mutable absl::Mutex mutex_;
  std::vector<Version> wanted_ ABSL_GUARDED_BY(mutex_);
  std::vector<Version> held_ ABSL_GUARDED_BY(mutex_);
  // Set by Want and by the destructor, taken by the thread.
  bool changed_ ABSL_GUARDED_BY(mutex_) = false;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<Version, Trouble> troubles_ ABSL_GUARDED_BY(mutex_);  // of wanted versions only
  std::optional<Version> failed_last_ ABSL_GUARDED_BY(mutex_);

  std::thread thread_;
};

}  // namespace attnrl::rollout
