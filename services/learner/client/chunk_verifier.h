// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/base/queue.h"
#include "services/learner/versions/growing_version.h"

namespace attnrl::learner {

// Compares the chunks of an arriving version with their names in a thread of its own, so that
// SHA-256 and the network work at the same time. Its callers are one thread.
class ChunkVerifier {
 public:
  explicit ChunkVerifier(std::shared_ptr<GrowingVersion> version);
  ~ChunkVerifier();
  ChunkVerifier(const ChunkVerifier&) = delete;
  ChunkVerifier& operator=(const ChunkVerifier&) = delete;

  // The chunk's bytes are in its room: it becomes ready if they are right. Waits while 16 others
  // do.
  void Add(size_t chunk);
  // A chunk that was wrong, of those since Settle.
  std::optional<size_t> wrong() const;
  // Waits until all that was added is compared, which takes only this machine's time. The same.
  std::optional<size_t> Settle();

 private:
  void Run();

  const std::shared_ptr<GrowingVersion> version_;
  BoundedQueue<size_t> queue_{16};  // numbers only: the bytes are the version's
  mutable absl::Mutex mutex_;
  size_t pending_ ABSL_GUARDED_BY(mutex_) = 0;
  std::optional<size_t> wrong_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace attnrl::learner
