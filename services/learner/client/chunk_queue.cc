// SPDX-License-Identifier: Apache-2.0
#include "services/learner/client/chunk_queue.h"

#include <algorithm>
#include <utility>

namespace attnrl::learner {
namespace {

// How often one that waits looks whether another has fallen silent.
constexpr absl::Duration kLook = absl::Milliseconds(100);

}  // namespace

ChunkQueue::ChunkQueue(const std::vector<size_t>& missing, size_t sources, absl::Duration silence,
                       Clock& clock)
    : silence_(silence), clock_(clock), shares_(sources) {
  for (Share& share : shares_) share.heard = clock_.Monotonic();
  for (size_t i = 0; i < missing.size(); ++i) shares_[i % sources].left.push_back(missing[i]);
}

std::vector<size_t> ChunkQueue::Take(size_t source, size_t most) {
  absl::MutexLock lock(&mutex_);
  Share& own = shares_[source];
  while (!own.gone && own.left.empty() && !TakeOver(own) && OthersHaveSome()) {
    changed_.WaitWithTimeout(&mutex_, kLook);
  }
  if (own.gone) return {};
  own.owed = std::min(most, own.left.size());
  own.heard = clock_.Monotonic();
  return {own.left.begin(), own.left.begin() + static_cast<std::ptrdiff_t>(own.owed)};
}

bool ChunkQueue::OthersHaveSome() const {
  return std::any_of(shares_.begin(), shares_.end(),
                     [](const Share& share) { return !share.left.empty(); });
}

bool ChunkQueue::TakeOver(Share& own) {
  Share& other =
      *std::max_element(shares_.begin(), shares_.end(), [](const auto& a, const auto& b) {
        return std::pair(a.gone && !a.left.empty(), a.left.size()) <
               std::pair(b.gone && !b.left.empty(), b.left.size());
      });
  size_t count = other.gone ? other.left.size() : other.left.size() / 2;
  if (count == 0 && !other.left.empty() && clock_.Monotonic() - other.heard >= silence_) {
    count = 1;
    other.gone = true;
    if (other.stop) other.stop();
  }
  if (count == 0) return false;
  const auto from = other.left.end() - static_cast<std::ptrdiff_t>(count);
  own.left.assign(from, other.left.end());
  other.left.erase(from, other.left.end());
  other.owed = std::min(other.owed, other.left.size());
  return true;
}

bool ChunkQueue::Owes(size_t source) const {
  absl::MutexLock lock(&mutex_);
  return shares_[source].owed > 0;
}

std::optional<size_t> ChunkQueue::Next(size_t source) {
  absl::MutexLock lock(&mutex_);
  Share& own = shares_[source];
  if (own.owed == 0) return std::nullopt;
  const size_t chunk = own.left.front();
  own.left.pop_front();
  --own.owed;
  own.heard = clock_.Monotonic();
  changed_.SignalAll();
  return chunk;
}

void ChunkQueue::Leave(size_t source) {
  absl::MutexLock lock(&mutex_);
  shares_[source].gone = true;
  shares_[source].owed = 0;
  changed_.SignalAll();
}

void ChunkQueue::OnSilenced(size_t source, std::function<void()> stop) {
  absl::MutexLock lock(&mutex_);
  shares_[source].stop = std::move(stop);
  if (shares_[source].gone && shares_[source].stop) shares_[source].stop();
}

}  // namespace attnrl::learner
