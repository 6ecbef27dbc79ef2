// SPDX-License-Identifier: Apache-2.0
#include "services/learner/client/chunk_verifier.h"

#include <string_view>
#include <utility>

#include "common/storage/digest.h"

namespace attnrl::learner {

ChunkVerifier::ChunkVerifier(std::shared_ptr<GrowingVersion> version)
    : version_(std::move(version)), thread_([this] { Run(); }) {}

ChunkVerifier::~ChunkVerifier() {
  queue_.Close();
  thread_.join();
}

void ChunkVerifier::Add(size_t chunk) {
  {
    absl::MutexLock lock(&mutex_);
    ++pending_;
  }
  queue_.Push(chunk);
}

std::optional<size_t> ChunkVerifier::wrong() const {
  absl::MutexLock lock(&mutex_);
  return wrong_;
}

std::optional<size_t> ChunkVerifier::Settle() {
  const auto idle = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return pending_ == 0; };
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&idle));
  return std::exchange(wrong_, std::nullopt);
}

void ChunkVerifier::Run() {
  storage::Sha256 hash;
  while (const std::optional<size_t> chunk = queue_.Pop()) {
    const std::span<const char> bytes = version_->Room(*chunk);
    hash.Update(bytes.data(), bytes.size());
    const bool right = hash.Digest() == version_->data()->ChunkDigest(*chunk);
    if (right) version_->SetReady(*chunk);
    absl::MutexLock lock(&mutex_);
    --pending_;
    if (!right && !wrong_) wrong_ = chunk;
  }
}

}  // namespace attnrl::learner
