// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace attnrl::device {

// For tests only.

// A device whose memory the host can't touch, as far as code can tell that from the CPU: a read
// through a pointer is a segmentation fault, an operation on tensors of two devices throws, new
// memory is NaN (-1 as an integer) and freed memory is gone. Operations are computed by the CPU's
// on copies that aren't counted; one that returns a view which the device doesn't know throws.
// Waits for nothing and keeps no order: it shows neither races nor speed.
//
// LibTorch has one such place a process (PrivateUse1) and takes it as the accelerator: a test
// binary that calls this has no tests which mind. Any thread.
at::Device FakeDevice();

// What has gone between the host and the fake device, in this process.
struct Traffic {
  int64_t copies_to_device = 0;
  int64_t bytes_to_device = 0;
  // Those for which the host waits, until all that the device has begun is done: not started as
  // non_blocking.
  int64_t blocking_copies_to_device = 0;
  int64_t copies_to_host = 0;
  int64_t bytes_to_host = 0;
  // Those in either direction whose memory on the host isn't pinned, and those that went by another
  // stream than the default one.
  int64_t pageable_copies = 0;
  int64_t side_copies = 0;
  // Values for which the host waits besides: item() and operations whose result's shape depends on
  // values, such as nonzero.
  int64_t values_to_host = 0;

  bool operator==(const Traffic&) const = default;
};

// Traffic since it was made, and operations that were computed on the fake device: what a GPU would
// be asked to launch at least one kernel for. Views and new memory are none.
class TrafficMeter {
 public:
  TrafficMeter();
  Traffic Read() const;
  int64_t Operations() const;

 private:
  Traffic before_;
  int64_t operations_before_;
};

// While `to` isn't null, what the thread computes on the fake device can be computed again by what
// is there, in its order; copies to and from the host throw. For FakeGraphRecorder.
void RecordOperations(std::vector<std::function<void()>>* to);

// Bytes of the fake device in use.
int64_t FakeDeviceBytes();

}  // namespace attnrl::device
