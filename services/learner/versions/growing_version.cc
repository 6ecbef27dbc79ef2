// SPDX-License-Identifier: Apache-2.0
#include "services/learner/versions/growing_version.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace attnrl::learner {
GrowingVersion::GrowingVersion(std::shared_ptr<const VersionData> data, char* room)
    : data_(std::move(data)), room_(room), is_ready_(data_->chunks(), false) {}

std::shared_ptr<GrowingVersion> GrowingVersion::Begin(VersionData data) {
  char* const room = data.bytes.room();
  return std::shared_ptr<GrowingVersion>(
      new GrowingVersion(std::make_shared<const VersionData>(std::move(data)), room));
}

std::span<char> GrowingVersion::Room(size_t chunk) {
  const uint64_t offset = chunk * data_->chunk_bytes;
  return {room_ + offset, std::min(data_->chunk_bytes, total() - offset)};
}

void GrowingVersion::SetReady(size_t chunk) {
  absl::MutexLock lock(&mutex_);
  if (!is_ready_[chunk]) ++ready_;
  is_ready_[chunk] = true;
}

size_t GrowingVersion::ready() const {
  absl::MutexLock lock(&mutex_);
  return ready_;
}

bool GrowingVersion::IsReady(size_t chunk) const {
  absl::MutexLock lock(&mutex_);
  return is_ready_[chunk];
}

void GrowingVersion::End() {
  absl::MutexLock lock(&mutex_);
  ended_ = true;
}

absl::Status GrowingVersion::WaitFor(size_t chunk, absl::Duration patience) const {
  const auto settled = [this, chunk]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return ended_ || is_ready_[chunk];
  };
  absl::MutexLock lock(&mutex_);
  const size_t before = ready_;
  mutex_.AwaitWithTimeout(absl::Condition(&settled), patience);
  if (is_ready_[chunk]) return absl::OkStatus();
  const std::string name = absl::StrCat("W(", version().number, ")");
  if (ended_) return absl::UnavailableError(name + " was given up");
  if (ready_ == before) return absl::UnavailableError(name + " doesn't come");
  return absl::AbortedError(absl::StrCat(name, " comes, but chunk ", chunk, " not yet"));
}

SentVersion GrowingVersion::Reader(std::shared_ptr<GrowingVersion> self) {
  return {.data = self->data_, .wait = [self](size_t chunk, absl::Duration patience) {
            return self->WaitFor(chunk, patience);
          }};
}

}  // namespace attnrl::learner
