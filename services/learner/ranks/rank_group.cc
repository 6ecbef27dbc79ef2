// SPDX-License-Identifier: Apache-2.0
#include "services/learner/ranks/rank_group.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>

namespace attnrl::learner {
namespace {

void WaitForAll(std::vector<std::unique_ptr<RankGroup::Transfer>>& transfers) {
  for (const auto& transfer : transfers) transfer->Wait();
  transfers.clear();
}

at::Tensor SumOf(std::span<const at::Tensor> tensors) {
  if (tensors.size() == 1) return tensors.front();
  const size_t half = tensors.size() / 2;
  return SumOf(tensors.first(half)) + SumOf(tensors.subspan(half));
}

}  // namespace

Exchange::Exchange(RankGroup& group, at::Tensor parts)
    : parts_(std::move(parts)), received_(at::empty_like(parts_)) {
  received_[group.rank()].copy_(parts_[group.rank()]);
  for (int rank = 0; rank < group.size(); ++rank) {
    if (rank == group.rank()) continue;
    transfers_.push_back(group.Receive(received_[rank], rank));
    transfers_.push_back(group.Send(parts_[rank], rank));
  }
  group.Launch();
}

at::Tensor Exchange::Wait() {
  WaitForAll(transfers_);
  return received_;
}

Gather::Gather(RankGroup& group, const at::Tensor& rows) {
  for (int rank = 0; rank < group.size(); ++rank) {
    if (rank == group.rank()) continue;
    transfers_.push_back(group.Receive(rows[rank], rank));
    transfers_.push_back(group.Send(rows[group.rank()], rank));
  }
  group.Launch();
}

void Gather::Wait() { WaitForAll(transfers_); }

void AllGather(RankGroup& group, const at::Tensor& rows) { Gather(group, rows).Wait(); }

void Broadcast(RankGroup& group, at::Tensor tensor) {
  std::vector<std::unique_ptr<RankGroup::Transfer>> transfers;
  if (group.rank() != 0) transfers.push_back(group.Receive(tensor, 0));
  for (int rank = 1; group.rank() == 0 && rank < group.size(); ++rank) {
    transfers.push_back(group.Send(tensor, rank));
  }
  WaitForAll(transfers);
}

std::string BroadcastBytes(RankGroup& group, std::string bytes) {
  const at::Tensor size = at::full({1}, static_cast<int64_t>(bytes.size()), at::kLong);
  Broadcast(group, size);
  bytes.resize(static_cast<size_t>(size.item<int64_t>()));
  if (bytes.empty()) return bytes;
  Broadcast(group, at::from_blob(bytes.data(), {size.item<int64_t>()}, at::kByte));
  return bytes;
}

std::optional<std::pair<int, int>> FirstAlike(RankGroup& group, const std::string& name) {
  const at::Tensor names = at::zeros({group.size(), 128}, at::kByte);
  const at::Tensor own = names[group.rank()];
  std::copy_n(name.data(), std::min<size_t>(name.size(), 127), own.mutable_data_ptr<uint8_t>());
  AllGather(group, names);
  for (int second = 1; second < group.size(); ++second) {
    for (int first = 0; first < second; ++first) {
      if (at::equal(names[first], names[second])) return std::pair(first, second);
    }
  }
  return std::nullopt;
}

at::Tensor PairwiseSum(const std::vector<at::Tensor>& tensors) { return SumOf(tensors); }

}  // namespace attnrl::learner
