// SPDX-License-Identifier: Apache-2.0
#include "services/learner/versions/growing_version.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace attnrl::learner {
GrowingVersion::GrowingVersion(std::shared_ptr<const VersionData> data, char* room, bool ready)
    : total_(data->bytes.size()),
      data_(std::move(data)),
      room_(room),
      is_ready_(data_->chunks(), ready),
      ready_(ready ? data_->chunks() : 0) {}

std::shared_ptr<GrowingVersion> GrowingVersion::Begin(VersionData manifest, uint64_t total) {
  manifest.bytes = WeightBytes::Room(total);
  char* const room = manifest.bytes.room();
  return std::shared_ptr<GrowingVersion>(new GrowingVersion(
      std::make_shared<const VersionData>(std::move(manifest)), room, /*ready=*/false));
}

std::shared_ptr<GrowingVersion> GrowingVersion::Whole(std::shared_ptr<const VersionData> data) {
  return std::shared_ptr<GrowingVersion>(
      new GrowingVersion(std::move(data), /*room=*/nullptr, /*ready=*/true));
}

std::span<char> GrowingVersion::Room(size_t chunk) {
  const uint64_t offset = chunk * data_->chunk_bytes;
  return {room_ + offset, std::min(data_->chunk_bytes, total_ - offset)};
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
  mutex_.AwaitWithTimeout(absl::Condition(&settled), patience);
  if (is_ready_[chunk]) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("W(", version().number, ") ", ended_ ? "was given up" : "doesn't come"));
}

SentVersion GrowingVersion::Reader(std::shared_ptr<GrowingVersion> self, absl::Duration patience) {
  return {.data = self->data_,
          .wait = [self, patience](size_t chunk) { return self->WaitFor(chunk, patience); }};
}

}  // namespace attnrl::learner
