// SPDX-License-Identifier: Apache-2.0
#include "services/learner/client/held_versions.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace attnrl::learner {
namespace {

constexpr size_t kHeld = 2;  // one as the base of the other's differences

}  // namespace

void HeldVersions::Add(std::shared_ptr<GrowingVersion> version) {
  absl::MutexLock lock(&mutex_);
  std::erase_if(versions_, [&](const auto& held) { return held->version() == version->version(); });
  versions_.push_front(std::move(version));
  if (versions_.size() > kHeld) versions_.pop_back();
}

std::shared_ptr<GrowingVersion> HeldVersions::Find(const Version& version) const {
  for (const auto& held : versions_) {
    if (held->version().number == version.number &&
        (version.digest.empty() || held->version().digest == version.digest)) {
      return held;
    }
  }
  return nullptr;
}

absl::StatusOr<SentVersion> HeldVersions::Send(const Version& version) {
  const auto begun = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return Find(version) != nullptr; };
  absl::MutexLock lock(&mutex_);
  if (!mutex_.AwaitWithTimeout(absl::Condition(&begun), patience_)) {
    return absl::NotFoundError(absl::StrCat("W(", version.number, ") is not held here"));
  }
  return GrowingVersion::Reader(Find(version), patience_);
}

}  // namespace attnrl::learner
