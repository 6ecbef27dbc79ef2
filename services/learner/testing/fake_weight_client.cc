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
