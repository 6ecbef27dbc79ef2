// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <c10/core/Device.h>

#include <optional>
#include <string>

namespace attnrl::bench {

// What the device can do: measured, but for the peak, which is the data sheet's.
struct DeviceSpeed {
  double copied = 0;                // bytes a second that a copy within it reads and writes
  double multiplied = 0;            // FLOPs a second of a square product in bfloat16
  std::optional<double> peak = {};  // the same as the maker says; none: not known
};

// `size`: rows of the product, and the copy has as many kilobytes squared.
DeviceSpeed MeasureDevice(at::Device device, int64_t size);

// Waits for all that was begun on it.
void WaitFor(at::Device device);

// What a step took, and what it asks for.
struct StepCost {
  double seconds = 0;
  double bytes = 0;  // that it must move at least; 0: not counted
  double flops = 0;  // of the model
  double tokens = 0;
};

// Prints lines of a table as they come, for tests/bench/gpu.md.
class WholeTable {
 public:
  WholeTable(at::Device device, const DeviceSpeed& speed);
  void AddCost(const std::string& what, const StepCost& cost);
  // A count or a difference that may be `allowed` at most.
  void AddCheck(const std::string& what, double found, double allowed);
  void AddNote(const std::string& what, const std::string& note);
  bool failed() const { return failed_; }

 private:
  const DeviceSpeed speed_;
  bool failed_ = false;
};

}  // namespace attnrl::bench
