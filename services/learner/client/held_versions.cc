// SPDX-License-Identifier: Apache-2.0
#include "services/learner/client/held_versions.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace attnrl::learner {
namespace {

constexpr size_t kHeld = 2;  // one as the base of the other's differences

}  // namespace

void HeldVersions::Add(SentVersion version) {
  absl::MutexLock lock(&mutex_);
  std::erase_if(versions_, [&](const SentVersion& held) {
    return held.data->version == version.data->version;
  });
  versions_.push_front(std::move(version));
  if (versions_.size() > kHeld) versions_.pop_back();
}

std::optional<SentVersion> HeldVersions::Find(const Version& version) const {
  for (const SentVersion& held : versions_) {
    if (held.data->version.number == version.number &&
        (version.digest.empty() || held.data->version.digest == version.digest)) {
      return held;
    }
  }
  return std::nullopt;
}

absl::StatusOr<SentVersion> HeldVersions::Send(const Version& version, absl::Duration patience) {
  const auto begun = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return Find(version).has_value(); };
  absl::MutexLock lock(&mutex_);
  if (!mutex_.AwaitWithTimeout(absl::Condition(&begun), patience)) {
    return absl::NotFoundError(absl::StrCat("W(", version.number, ") is not held here"));
  }
  return *Find(version);
}

}  // namespace attnrl::learner
