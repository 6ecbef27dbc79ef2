// SPDX-License-Identifier: Apache-2.0
#include "services/learner/ranks/nccl_communicator.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/learner/ranks/rank_group.h"

namespace attnrl::learner {
namespace {

// How often a wait looks at the communicator and the GPU.
constexpr absl::Duration kPoll = absl::Microseconds(100);

// "rank 2", or "one of the ranks 1, 2": whom a wait is for.
std::string Who(const std::vector<int>& ranks) {
  return absl::StrCat(ranks.size() == 1 ? "rank " : "one of the ranks ",
                      absl::StrJoin(ranks, ", "));
}

std::vector<int> PeersOf(const std::vector<NcclCommunicator::Message>& messages) {
  std::vector<int> peers;
  for (const NcclCommunicator::Message& message : messages) peers.push_back(message.peer);
  std::sort(peers.begin(), peers.end());
  peers.erase(std::unique(peers.begin(), peers.end()), peers.end());
  return peers;
}

bool Refused(ncclResult_t result) { return result != ncclSuccess && result != ncclInProgress; }

}  // namespace

NcclCommunicator::NcclCommunicator(absl::Duration timeout, const NcclFunctions& nccl, Clock& clock)
    : timeout_(timeout), nccl_(nccl), clock_(clock) {}

NcclCommunicator::~NcclCommunicator() {
  if (comm_ != nullptr) nccl_.abort(comm_);
}

void NcclCommunicator::Connect(const ncclUniqueId& id, int rank, int size) {
  for (int other = 0; other < size; ++other) {
    if (other != rank) others_.push_back(other);
  }
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  Check(nccl_.init(&comm_, size, id, rank, &config), others_);
  Poll(others_, [] { return true; });
}

void NcclCommunicator::Post(const std::vector<Message>& messages, cudaStream_t stream) {
  const std::vector<int> peers = PeersOf(messages);
  Check(nccl_.group_start(), peers);
  ncclResult_t result = ncclSuccess;
  for (const Message& message : messages) {
    result =
        message.sent
            ? nccl_.send(message.data, message.bytes, ncclUint8, message.peer, comm_, stream)
            : nccl_.receive(message.data, message.bytes, ncclUint8, message.peer, comm_, stream);
    if (Refused(result)) break;
  }
  // Also after a refusal: an abort within an open group would be put off until it is closed.
  const ncclResult_t closed = nccl_.group_end();
  Check(result, peers);
  Check(closed, peers);
  Poll(peers, [] { return true; });
}

void NcclCommunicator::WaitFor(const std::vector<Message>& messages,
                               const std::function<bool()>& done) {
  Poll(PeersOf(messages), done);
}

void NcclCommunicator::Poll(const std::vector<int>& ranks, const std::function<bool()>& done) {
  const absl::Duration deadline = clock_.Monotonic() + timeout_;
  while (true) {
    ncclResult_t state = ncclSuccess;
    const ncclResult_t asked = nccl_.get_state(comm_, &state);
    Check(asked, ranks);
    Check(state, ranks);
    if (state == ncclSuccess && done()) return;
    if (clock_.Monotonic() >= deadline) {
      throw RankError(
          absl::StrCat(Who(ranks), " has not answered for ", absl::FormatDuration(timeout_)));
    }
    clock_.Sleep(kPoll);
  }
}

void NcclCommunicator::End() {
  if (comm_ == nullptr) return;
  Check(nccl_.finalize(comm_), others_);
  Poll(others_, [] { return true; });
  nccl_.destroy(std::exchange(comm_, nullptr));
}

void NcclCommunicator::Check(ncclResult_t result, const std::vector<int>& ranks) const {
  if (!Refused(result)) return;
  throw RankError(absl::StrCat(Who(ranks), ": NCCL says: ", ncclGetErrorString(result)));
}

}  // namespace attnrl::learner
