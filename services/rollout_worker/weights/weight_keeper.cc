// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/weights/weight_keeper.h"

#include <algorithm>
#include <utility>

#include "common/observe/log.h"

namespace attnrl::rollout {
namespace {

// Nothing to fetch: looks up this often though nothing was wanted.
constexpr absl::Duration kIdleWait = absl::Minutes(1);

bool Contains(const std::vector<Version>& versions, const Version& version) {
  return std::find(versions.begin(), versions.end(), version) != versions.end();
}

}  // namespace

WeightKeeper::WeightKeeper(WeightKeeperOptions options, learner::WeightClient& client,
                           WeightLoader load, const Clock& clock)
    : options_(std::move(options)),
      client_(client),
      load_(std::move(load)),
      clock_(clock),
      backoff_(options_.first_backoff, options_.max_backoff,
               std::hash<std::string>{}(options_.name)),
      thread_([this] { Run(); }) {}

WeightKeeper::~WeightKeeper() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
    changed_ = true;
  }
  client_.Cancel();
  thread_.join();
}

void WeightKeeper::Want(std::vector<Version> versions) {
  if (versions.size() > options_.capacity) versions.resize(options_.capacity);
  absl::MutexLock lock(&mutex_);
  if (versions == wanted_) return;
  wanted_ = std::move(versions);
  changed_ = true;
  std::erase_if(troubles_, [this](const auto& entry) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return !Contains(wanted_, entry.first);
  });
  // Weights are found by their number: other bits under a wanted one (of an earlier run at the same
  // address) must not be sampled.
  std::erase_if(held_, [this](const Version& held) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    const bool stale = std::any_of(wanted_.begin(), wanted_.end(), [&](const Version& wanted) {
      return wanted.number == held.number && wanted.digest != held.digest;
    });
    if (stale) options_.drop(held.number);
    return stale;
  });
  // A version that is not needed makes room; while there is room it stays and may be needed again.
  const auto unwanted = [this](const Version& version) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !Contains(wanted_, version);
  };
  while (held_.size() + MissingCount() > options_.capacity) {
    const auto found = std::find_if(held_.begin(), held_.end(), unwanted);
    if (found == held_.end()) break;
    options_.drop(found->number);
    held_.erase(found);
  }
}

bool WeightKeeper::Holds(const Version& version) const {
  absl::MutexLock lock(&mutex_);
  return Contains(held_, version);
}

std::vector<WeightKeeper::Trouble> WeightKeeper::troubles() const {
  absl::MutexLock lock(&mutex_);
  std::vector<Trouble> troubles;
  for (const Version& version : wanted_) {
    const auto found = troubles_.find(version);
    if (found != troubles_.end()) troubles.push_back(found->second);
  }
  return troubles;
}

bool WeightKeeper::Changed() const { return changed_; }

std::optional<Version> WeightKeeper::Missing() const {
  std::optional<Version> again;
  for (const Version& version : wanted_) {
    if (Contains(held_, version)) continue;
    if (version != failed_last_) return version;
    again = version;
  }
  return again;
}

size_t WeightKeeper::MissingCount() const {
  size_t missing = 0;
  for (const Version& version : wanted_) missing += Contains(held_, version) ? 0 : 1;
  return missing;
}

void WeightKeeper::Run() {
  absl::Duration wait = absl::ZeroDuration();
  while (true) {
    std::optional<Version> version;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.AwaitWithTimeout(absl::Condition(this, &WeightKeeper::Changed), wait);
      changed_ = false;
      if (stop_) return;
      version = Missing();
    }
    wait = kIdleWait;
    if (version) {
      const absl::Status status = FetchOne(*version);
      wait = status.ok() ? absl::ZeroDuration() : backoff_.Next();
    }
  }
}

absl::Status WeightKeeper::FetchOne(const Version& version) {
  const absl::Duration start = clock_.Monotonic();
  const uint64_t received = client_.received_bytes();
  absl::StatusOr<std::shared_ptr<const learner::VersionData>> data =
      client_.Fetch(version, base_.get(), options_.fetch_deadline);
  absl::StatusOr<Weights> weights = data.ok() ? load_(**data) : data.status();
  const absl::Duration took = clock_.Monotonic() - start;
  if (options_.observe) options_.observe(version, took, weights.status());
  if (!weights.ok()) {
    observe::LogWarning("weights not loaded, trying again",
                        {{"version", version.number}, {"reason", weights.status()}});
    absl::MutexLock lock(&mutex_);
    failed_last_ = version;
    if (!Contains(wanted_, version)) return weights.status();
    // The fetch that fails first was begun for nothing: it counts from its start.
    Trouble& trouble = troubles_.try_emplace(version, Trouble{.since = start}).first->second;
    trouble.version = version;
    trouble.reason = std::string(weights.status().message());
    trouble.fatal = data.ok() && absl::IsInternal(weights.status());
    return weights.status();
  }
  backoff_.Reset();
  observe::LogInfo("weights loaded", {{"version", version.number},
                                      {"digest", (*data)->version.digest},
                                      {"seconds", absl::ToDoubleSeconds(took)},
                                      {"bytes", (*data)->bytes.size()},
                                      {"received_bytes", client_.received_bytes() - received}});
  if (options_.keep_base) base_ = *std::move(data);
  absl::MutexLock lock(&mutex_);
  failed_last_.reset();
  troubles_.erase(version);
  if (!Contains(wanted_, version)) return absl::OkStatus();
  options_.set(version.number, *std::move(weights));
  std::erase_if(held_, [&](const Version& other) { return other.number == version.number; });
  held_.push_back(version);
  return absl::OkStatus();
}

}  // namespace attnrl::rollout
