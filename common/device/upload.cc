// SPDX-License-Identifier: Apache-2.0
#include "common/device/upload.h"

#include <ATen/ATen.h>

#include <bit>
#include <cstring>

#include "common/device/device.h"
#include "common/device/kept_tensors.h"

namespace attnrl::device {

void Upload::Clear() {
  numbers_.clear();
  sent_ = at::Tensor();
}

Upload::Part Upload::Add(int64_t count) {
  const Part part{static_cast<int64_t>(numbers_.size()), count};
  numbers_.resize(static_cast<size_t>(part.first + count));
  return part;
}

void Upload::Set(Part part, int64_t index, double value) {
  numbers_[static_cast<size_t>(part.first + index)] = std::bit_cast<int64_t>(value);
}

void Upload::Send(at::Device device) {
  sent_ = ToHostTensor(device).to(device, /*non_blocking=*/true);
}

void Upload::SendTo(const at::Tensor& place) {
  sent_ = place.narrow(0, 0, numbers());
  sent_.copy_(ToHostTensor(place.device()), /*non_blocking=*/true);
}

at::Tensor Upload::ToHostTensor(at::Device device) const {
  // LibTorch keeps pinned memory until the copy from it has ended.
  const at::Tensor host =
      PinsMemoryFor(device)
          ? at::empty({numbers()}, at::TensorOptions(at::kLong).pinned_memory(true))
          : KeptTensors::Empty({numbers()}, at::kLong);
  std::memcpy(host.mutable_data_ptr(), numbers_.data(), numbers_.size() * sizeof(int64_t));
  return host;
}

at::Tensor Upload::Integers(Part part) const { return sent_.narrow(0, part.first, part.count); }

at::Tensor Upload::Doubles(Part part) const { return Integers(part).view(at::kDouble); }

}  // namespace attnrl::device
