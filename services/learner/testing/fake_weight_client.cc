// SPDX-License-Identifier: Apache-2.0
#include "services/learner/testing/fake_weight_client.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace attnrl::learner {

Version FakeWeightClient::Publish(VersionData data) {
  if (data.version.digest.empty()) data.version.digest = VersionDigest(data);
  const Version version = data.version;
  absl::MutexLock lock(&mutex_);
  versions_[version.number] = std::move(data);
  ++changes_;
  return version;
}

void FakeWeightClient::Remove(uint32_t number) {
  absl::MutexLock lock(&mutex_);
  versions_.erase(number);
}

void FakeWeightClient::FailFetches(int count, absl::Status status) {
  absl::MutexLock lock(&mutex_);
  failures_left_ = count;
  failure_ = std::move(status);
}

absl::StatusOr<std::shared_ptr<const VersionData>> FakeWeightClient::Fetch(const Version& version,
                                                                           const VersionData* base,
                                                                           absl::Duration) {
  absl::MutexLock lock(&mutex_);
  last_base_ = base == nullptr ? Version() : base->version;
  if (cancelled_) return absl::CancelledError("the weight client was cancelled");
  ++fetches_;
  if (failures_left_ > 0) {
    --failures_left_;
    return failure_;
  }
  const auto found = versions_.find(version.number);
  if (found == versions_.end() ||
      (!version.digest.empty() && version.digest != found->second.version.digest)) {
    return absl::NotFoundError(absl::StrCat("W(", version.number, ") is not published"));
  }
  return std::make_shared<const VersionData>(found->second);
}

absl::Status FakeWeightClient::Watch(const std::function<bool(const Version&)>& announced) {
  uint64_t seen = 0;
  int64_t newest = -1;
  while (true) {
    std::vector<Version> fresh;
    {
      absl::MutexLock lock(&mutex_);
      const auto changed = [this, seen]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
        return cancelled_ || changes_ != seen;
      };
      mutex_.Await(absl::Condition(&changed));
      if (cancelled_) return absl::CancelledError("the weight client was cancelled");
      seen = changes_;
      for (const auto& [number, data] : versions_) {
        if (static_cast<int64_t>(number) > newest) fresh.push_back(data.version);
      }
    }
    for (const Version& version : fresh) {
      newest = version.number;
      if (!announced(version)) return absl::OkStatus();
    }
  }
}

Version FakeWeightClient::last_base() const {
  absl::MutexLock lock(&mutex_);
  return last_base_;
}

void FakeWeightClient::Cancel() {
  absl::MutexLock lock(&mutex_);
  cancelled_ = true;
}

int FakeWeightClient::fetches() const {
  absl::MutexLock lock(&mutex_);
  return fetches_;
}

}  // namespace attnrl::learner
