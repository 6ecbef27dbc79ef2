// SPDX-License-Identifier: Apache-2.0
#include "services/learner/ranks/nccl_group.h"

#include <c10/cuda/CUDAEvent.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <nccl.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/base/clock.h"
#include "common/device/gpus.h"
#include "common/storage/files.h"

namespace attnrl::learner {
namespace {

// How often a wait looks at the communicator and the GPU.
constexpr absl::Duration kPoll = absl::Microseconds(100);

// "rank 2", or "one of the ranks 1, 2": whom a wait is for.
std::string Who(const std::vector<int>& ranks) {
  return absl::StrCat(ranks.size() == 1 ? "rank " : "one of the ranks ",
                      absl::StrJoin(ranks, ", "));
}

// NCCL's connection of all ranks. Its calls return at once and go on in the background, where
// WaitFor looks at them. Once one has failed, the destructor aborts what is under way. Throws
// RankError.
class Communicator {
 public:
  explicit Communicator(absl::Duration timeout) : timeout_(timeout) {}
  ~Communicator() {
    if (comm_ == nullptr) return;
    if (failed_) {
      ncclCommAbort(comm_);
    } else {
      ncclCommDestroy(comm_);
    }
  }
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  // `others` are all ranks but this one.
  void Connect(const ncclUniqueId& id, const RankGroup& host, const std::vector<int>& others) {
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    Check(ncclCommInitRankConfig(&comm_, host.size(), id, host.rank(), &config), others);
    WaitFor(others, [] { return true; });
  }

  ncclComm_t get() const { return comm_; }

  void Check(ncclResult_t result, const std::vector<int>& ranks) {
    if (result == ncclSuccess || result == ncclInProgress) return;
    failed_ = true;
    throw RankError(absl::StrCat(Who(ranks), ": NCCL says: ", ncclGetErrorString(result)));
  }

  // Until NCCL has nothing under way and `done` is true.
  template <typename Done>
  void WaitFor(const std::vector<int>& ranks, Done done) {
    const absl::Duration deadline = Clock::Real().Monotonic() + timeout_;
    while (true) {
      ncclResult_t state = ncclSuccess;
      const ncclResult_t asked = ncclCommGetAsyncError(comm_, &state);
      Check(asked, ranks);
      Check(state, ranks);
      if (state == ncclSuccess && done()) return;
      if (Clock::Real().Monotonic() >= deadline) {
        failed_ = true;
        throw RankError(
            absl::StrCat(Who(ranks), " has not answered for ", absl::FormatDuration(timeout_)));
      }
      absl::SleepFor(kPoll);
    }
  }

 private:
  ncclComm_t comm_ = nullptr;
  const absl::Duration timeout_;
  bool failed_ = false;
};

// Messages that NCCL got together; each may wait for any other of them, here and on other ranks.
struct Batch {
  struct Message {
    at::Tensor tensor;
    int peer = 0;
    bool sent = false;
  };
  std::vector<Message> messages;
  c10::cuda::CUDAEvent done;
  bool waited = false;

  std::vector<int> Peers() const {
    std::vector<int> peers;
    for (const Message& message : messages) peers.push_back(message.peer);
    std::sort(peers.begin(), peers.end());
    peers.erase(std::unique(peers.begin(), peers.end()), peers.end());
    return peers;
  }
};

class NcclGroup final : public RankGroup {
 public:
  NcclGroup(std::unique_ptr<RankGroup> host, const ncclUniqueId& id, at::Device gpu,
            absl::Duration timeout)
      : host_(std::move(host)),
        gpu_(gpu),
        stream_(c10::cuda::getStreamFromPool(false, gpu.index())),
        communicator_(timeout) {
    communicator_.Connect(id, *host_, Others(*host_));
  }

  int rank() const override { return host_->rank(); }
  int size() const override { return host_->size(); }

  std::unique_ptr<Transfer> Send(const at::Tensor& tensor, int to) override {
    if (!tensor.is_cuda()) return host_->Send(tensor, to);
    return Add({.tensor = tensor, .peer = to, .sent = true});
  }
  std::unique_ptr<Transfer> Receive(const at::Tensor& tensor, int from) override {
    if (!tensor.is_cuda()) return host_->Receive(tensor, from);
    return Add({.tensor = tensor, .peer = from, .sent = false});
  }

  // Behind what the caller's stream computes, on a stream of its own.
  void Launch() override {
    if (next_ == nullptr) return;
    const std::shared_ptr<Batch> batch = std::exchange(next_, nullptr);
    const std::vector<int> peers = batch->Peers();
    const c10::cuda::CUDAGuard guard(gpu_);
    c10::cuda::CUDAEvent ready;
    ready.record(c10::cuda::getCurrentCUDAStream(gpu_.index()));
    ready.block(stream_);
    communicator_.Check(ncclGroupStart(), peers);
    for (const Batch::Message& message : batch->messages) {
      void* data = message.tensor.data_ptr();
      const size_t bytes = message.tensor.nbytes();
      communicator_.Check(message.sent ? ncclSend(data, bytes, ncclUint8, message.peer,
                                                  communicator_.get(), stream_.stream())
                                       : ncclRecv(data, bytes, ncclUint8, message.peer,
                                                  communicator_.get(), stream_.stream()),
                          peers);
    }
    communicator_.Check(ncclGroupEnd(), peers);
    communicator_.WaitFor(peers, [] { return true; });  // until all is on the stream
    batch->done.record(stream_);
  }

 private:
  class Pending final : public Transfer {
   public:
    Pending(NcclGroup& group, std::shared_ptr<Batch> batch)
        : group_(group), batch_(std::move(batch)) {}
    void Wait() override { group_.Finish(*batch_); }

   private:
    NcclGroup& group_;
    const std::shared_ptr<Batch> batch_;
  };

  static std::vector<int> Others(const RankGroup& host) {
    std::vector<int> others;
    for (int rank = 0; rank < host.size(); ++rank) {
      if (rank != host.rank()) others.push_back(rank);
    }
    return others;
  }

  std::unique_ptr<Transfer> Add(Batch::Message message) {
    if (next_ == nullptr) next_ = std::make_shared<Batch>();
    next_->messages.push_back(std::move(message));
    return std::make_unique<Pending>(*this, next_);
  }

  void Finish(Batch& batch) {
    if (&batch == next_.get()) Launch();
    if (std::exchange(batch.waited, true)) return;
    communicator_.WaitFor(batch.Peers(), [&] { return batch.done.query(); });
  }

  const std::unique_ptr<RankGroup> host_;
  const at::Device gpu_;
  const c10::cuda::CUDAStream stream_;
  Communicator communicator_;
  std::shared_ptr<Batch> next_;  // not launched yet
};

// "" where each rank has a GPU of its own. NCCL would only say that a call is not valid.
std::string SharedGpu(RankGroup& host, at::Device gpu) {
  const std::string address = device::GpuAddress(gpu.index());
  const auto machine = storage::ReadFile("/proc/sys/kernel/random/boot_id");
  const bool known = !address.empty() && machine.ok();
  const auto alike = FirstAlike(
      host, known ? absl::StrCat(*machine, address) : absl::StrCat("rank ", host.rank()));
  if (!alike.has_value()) return "";
  return absl::StrCat("ranks ", alike->first, " and ", alike->second,
                      " take the same one: give each process the number of its own in LOCAL_RANK");
}

}  // namespace

absl::StatusOr<std::unique_ptr<RankGroup>> AddNccl(std::unique_ptr<RankGroup> host, at::Device gpu,
                                                   absl::Duration timeout) {
  try {
    const c10::cuda::CUDAGuard guard(gpu);
    if (const std::string shared = SharedGpu(*host, gpu); !shared.empty()) {
      return absl::FailedPreconditionError(absl::StrCat("can't connect the ranks' GPUs: ", shared));
    }
    ncclUniqueId id = {};
    if (host->rank() == 0 && ncclGetUniqueId(&id) != ncclSuccess) {
      return absl::UnavailableError("NCCL finds no network to meet on (NCCL_SOCKET_IFNAME)");
    }
    const std::string bytes = BroadcastBytes(*host, std::string(id.internal, sizeof(id.internal)));
    std::memcpy(id.internal, bytes.data(), std::min(bytes.size(), sizeof(id.internal)));
    return std::make_unique<NcclGroup>(std::move(host), id, gpu, timeout);
  } catch (const std::exception& error) {
    const std::string text = error.what();
    return absl::UnavailableError(
        absl::StrCat("can't connect the ranks' GPUs: ", text.substr(0, text.find('\n'))));
  }
}

}  // namespace attnrl::learner
