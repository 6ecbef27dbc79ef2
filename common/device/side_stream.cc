// SPDX-License-Identifier: Apache-2.0
#include "common/device/side_stream.h"

#include <ATen/ATen.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <cstring>

#include "common/device/device.h"

namespace attnrl::device {
namespace {

std::optional<c10::Stream> NewStream(at::Device device) {
  if (device.is_cpu()) return std::nullopt;
  return c10::impl::VirtualGuardImpl(device.type()).getNewStream(device);
}

}  // namespace

struct SideStream::Buffer {
  at::Tensor bytes;
  c10::Event copied;  // from here
};

SideStream::SideStream(at::Device device, int64_t buffer_bytes)
    : device_(device), buffer_bytes_(buffer_bytes), stream_(NewStream(device)) {}

void SideStream::Run(const std::function<void()>& work) {
  if (!stream_) return work();
  const c10::StreamGuard guard(*stream_);
  try {
    work();
  } catch (...) {
    stream_->synchronize();
    throw;
  }
  stream_->synchronize();
}

at::Tensor SideStream::Bring(const at::Tensor& host) {
  if (!stream_) return host;
  at::Tensor there = at::empty(host.sizes(), host.options().device(device_));
  const at::Tensor bytes = there.view({-1}).view(at::kByte);
  const auto* from = static_cast<const char*>(host.const_data_ptr());
  const auto all = static_cast<int64_t>(host.nbytes());
  for (int64_t first = 0; first < all; first += buffer_bytes_, next_ ^= 1) {
    std::shared_ptr<Buffer>& buffer = buffers_[next_];
    if (buffer == nullptr) {
      buffer = std::make_shared<Buffer>(
          Buffer{at::empty({buffer_bytes_},
                           at::TensorOptions(at::kByte).pinned_memory(PinsMemoryFor(device_))),
                 c10::Event(device_.type())});
    } else {
      buffer->copied.synchronize();
    }
    const int64_t count = std::min(buffer_bytes_, all - first);
    std::memcpy(buffer->bytes.mutable_data_ptr(), from + first, static_cast<size_t>(count));
    bytes.narrow(0, first, count).copy_(buffer->bytes.narrow(0, 0, count), /*non_blocking=*/true);
    buffer->copied.record(*stream_);
  }
  return there;
}

}  // namespace attnrl::device
