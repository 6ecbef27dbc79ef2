// SPDX-License-Identifier: Apache-2.0
#include "services/learner/versions/growing_version.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace attnrl::learner {
namespace {

// With room for all bytes, so that they never move; the system gives memory as it is filled.
std::shared_ptr<VersionData> WithRoom(VersionData manifest, uint64_t total) {
  auto data = std::make_shared<VersionData>(std::move(manifest));
  data->bytes.reserve(total);
  return data;
}

}  // namespace

GrowingVersion::GrowingVersion(VersionData manifest, uint64_t total)
    : total_(total), data_(WithRoom(std::move(manifest), total)), bytes_(data_->bytes.data()) {}

void GrowingVersion::Append(std::string_view bytes) {
  data_->bytes.append(bytes);
  absl::MutexLock lock(&mutex_);
  available_ += bytes.size();
}

void GrowingVersion::End(bool whole) {
  absl::MutexLock lock(&mutex_);
  failed_ = !whole;
}

absl::Status GrowingVersion::WaitFor(uint64_t end, absl::Duration patience) const {
  const auto ready = [this, end]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return failed_ || available_ >= end;
  };
  absl::MutexLock lock(&mutex_);
  const bool came = mutex_.AwaitWithTimeout(absl::Condition(&ready), patience);
  if (came && !failed_) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("W(", version().number, ") ", failed_ ? "came damaged" : "doesn't come"));
}

SentVersion GrowingVersion::Reader(std::shared_ptr<GrowingVersion> self, absl::Duration patience) {
  return {.data = self->data_,
          .bytes = self->bytes_,
          .total = self->total_,
          .wait = [self, patience](uint64_t end) { return self->WaitFor(end, patience); }};
}

}  // namespace attnrl::learner
