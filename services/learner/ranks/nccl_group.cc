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
#include "common/device/gpus.h"
#include "common/storage/files.h"
#include "services/learner/ranks/nccl_communicator.h"

namespace attnrl::learner {
namespace {

// Messages that NCCL got together.
struct Batch {
  std::vector<at::Tensor> tensors;
  std::vector<NcclCommunicator::Message> messages;
  c10::cuda::CUDAEvent done;
  bool waited = false;
};

class NcclGroup final : public RankGroup {
 public:
  NcclGroup(std::unique_ptr<RankGroup> host, const ncclUniqueId& id, at::Device gpu,
            absl::Duration timeout)
      : host_(std::move(host)),
        gpu_(gpu),
        stream_(c10::cuda::getStreamFromPool(false, gpu.index())),
        communicator_(timeout) {
    communicator_.Connect(id, host_->rank(), host_->size());
  }

  int rank() const override { return host_->rank(); }
  int size() const override { return host_->size(); }

  std::unique_ptr<Transfer> Send(const at::Tensor& tensor, int to) override {
    if (!tensor.is_cuda()) return host_->Send(tensor, to);
    return Add(tensor, to, /*sent=*/true);
  }
  std::unique_ptr<Transfer> Receive(const at::Tensor& tensor, int from) override {
    if (!tensor.is_cuda()) return host_->Receive(tensor, from);
    return Add(tensor, from, /*sent=*/false);
  }

  // Behind what the caller's stream computes, on a stream of its own.
  void Launch() override {
    if (next_ == nullptr) return;
    const std::shared_ptr<Batch> batch = std::exchange(next_, nullptr);
    const c10::cuda::CUDAGuard guard(gpu_);
    c10::cuda::CUDAEvent ready;
    ready.record(c10::cuda::getCurrentCUDAStream(gpu_.index()));
    ready.block(stream_);
    communicator_.Post(batch->messages, stream_.stream());
    batch->done.record(stream_);
  }

  void End() override { communicator_.End(); }

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

  std::unique_ptr<Transfer> Add(const at::Tensor& tensor, int peer, bool sent) {
    if (next_ == nullptr) next_ = std::make_shared<Batch>();
    next_->tensors.push_back(tensor);
    next_->messages.push_back({tensor.data_ptr(), tensor.nbytes(), peer, sent});
    return std::make_unique<Pending>(*this, next_);
  }

  void Finish(Batch& batch) {
    if (&batch == next_.get()) Launch();
    if (std::exchange(batch.waited, true)) return;
    communicator_.WaitFor(batch.messages, [&] { return batch.done.query(); });
  }

  const std::unique_ptr<RankGroup> host_;
  const at::Device gpu_;
  const c10::cuda::CUDAStream stream_;
  NcclCommunicator communicator_;
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
