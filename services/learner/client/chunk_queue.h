// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/base/clock.h"

namespace attnrl::learner {

// The missing chunks of a version, each of which one source at a time is asked for. All begin with
// equal shares, in the order of the version: a source that still gets it itself has those first.
// One that has sent its share takes over the later half of what another has left, so that a faster
// one sends more, and all that one leaves. Each source is one thread. Memory: a number a chunk.
class ChunkQueue {
 public:
  // `silence`: after so long without a chunk a source loses even the one that it is sending, and
  // takes no more part.
  ChunkQueue(const std::vector<size_t>& missing, size_t sources,
             absl::Duration silence = absl::Seconds(2), Clock& clock = Clock::Real());

  // What `source` is to be asked for next, at most `most`, in that order. Waits while others have
  // one each, which they may lose. Empty: nothing is left for it.
  std::vector<size_t> Take(size_t source, size_t most);
  // Whether the source still owes something of what was taken last.
  bool Owes(size_t source) const;
  // Something came from it: the chunk that this is, which no other source sends any more; nullopt
  // where it owes none.
  std::optional<size_t> Next(size_t source);
  // It takes no more part; what it has left goes to the others.
  void Leave(size_t source);
  // While set: called once it owes nothing because of its silence, from another source's thread.
  void OnSilenced(size_t source, std::function<void()> stop);

 private:
  struct Share {
    std::deque<size_t> left;
    size_t owed = 0;  // of these, the first: those that it was asked for
    absl::Duration heard;
    bool gone = false;
    std::function<void()> stop = nullptr;
  };

  // Gives `own` something of another's; false where there is nothing, or not yet.
  bool TakeOver(Share& own) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool OthersHaveSome() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const absl::Duration silence_;
  Clock& clock_;
  mutable absl::Mutex mutex_;
  absl::CondVar changed_;
  std::vector<Share> shares_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attnrl::learner
