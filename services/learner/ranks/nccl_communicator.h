// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nccl.h>

#include <functional>
#include <vector>

#include "absl/time/time.h"
#include "common/base/clock.h"

namespace attnrl::learner {

// What is used of NCCL. Tests have functions of their own, as NCCL's need a GPU.
struct NcclFunctions {
  decltype(&ncclCommInitRankConfig) init = ncclCommInitRankConfig;
  decltype(&ncclCommGetAsyncError) get_state = ncclCommGetAsyncError;
  decltype(&ncclGroupStart) group_start = ncclGroupStart;
  decltype(&ncclGroupEnd) group_end = ncclGroupEnd;
  decltype(&ncclSend) send = ncclSend;
  decltype(&ncclRecv) receive = ncclRecv;
  decltype(&ncclCommFinalize) finalize = ncclCommFinalize;
  decltype(&ncclCommDestroy) destroy = ncclCommDestroy;
  decltype(&ncclCommAbort) abort = ncclCommAbort;
};

// NCCL's connection of all ranks. Its calls return at once and go on in the background, where
// waiting looks at them until the deadline. Unless End has succeeded the destructor aborts it,
// whatever is under way, and doesn't wait for other ranks. All but the destructor throws RankError,
// which names the ranks that a call is for: NCCL doesn't say which of them it waits for. One
// thread uses it.
class NcclCommunicator {
 public:
  struct Message {
    void* data = nullptr;  // of this rank's GPU
    size_t bytes = 0;
    int peer = 0;
    bool sent = false;  // otherwise received
  };

  explicit NcclCommunicator(absl::Duration timeout, const NcclFunctions& nccl = {},
                            Clock& clock = Clock::Real());
  ~NcclCommunicator();
  NcclCommunicator(const NcclCommunicator&) = delete;
  NcclCommunicator& operator=(const NcclCommunicator&) = delete;

  // Every rank calls it, with the same id.
  void Connect(const ncclUniqueId& id, int rank, int size);
  // Puts the messages on `stream`, all together: each may wait for any other of them.
  void Post(const std::vector<Message>& messages, cudaStream_t stream);
  // Until NCCL has failed or `done` says that these are through.
  void WaitFor(const std::vector<Message>& messages, const std::function<bool()>& done);
  // Every rank calls it when all messages were waited for: waits for the others and disconnects.
  void End();

 private:
  void Check(ncclResult_t result, const std::vector<int>& ranks) const;
  // Until NCCL has nothing under way on the host and `done` is true.
  void Poll(const std::vector<int>& ranks, const std::function<bool()>& done);

  const absl::Duration timeout_;
  const NcclFunctions nccl_;
  Clock& clock_;
  ncclComm_t comm_ = nullptr;  // null: not connected, or ended
  std::vector<int> others_;
};

}  // namespace attnrl::learner
