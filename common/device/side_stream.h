// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/Stream.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

namespace attnrl::device {

// Brings tensors of the host to a device while others compute there: on a stream of its own,
// through pinned memory, so that neither waits for the other.
//
//   SideStream side(device);
//   side.Run([&] { weights = side.Bring(host); });  // it is there now
//
// Memory: twice `buffer_bytes` of the host, taken by the first Bring. One thread.
class SideStream {
 public:
  explicit SideStream(at::Device device, int64_t buffer_bytes = int64_t{32} << 20);

  // What `work` launches goes to the stream; waits until the device has done it, whatever is
  // thrown.
  void Run(const std::function<void()>& work);
  // In `work`: a copy of a dense tensor of the host on the device.
  at::Tensor Bring(const at::Tensor& host);

 private:
  struct Buffer;

  const at::Device device_;
  const int64_t buffer_bytes_;
  const std::optional<c10::Stream> stream_;  // none on the CPU
  std::array<std::shared_ptr<Buffer>, 2> buffers_;
  size_t next_ = 0;
};

}  // namespace attnrl::device
