// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/kernels/cuda/launch.h"

namespace attnrl::bench {

// Ends the program with the driver's words where a call or a launch was refused.
void Check(cudaError_t error, const char* what);
void Check(cuda::LaunchError error, const char* what);

// Memory of the GPU, for as long as this lives.
class GpuBytes {
 public:
  explicit GpuBytes(size_t bytes);
  ~GpuBytes();
  GpuBytes(const GpuBytes&) = delete;
  GpuBytes& operator=(const GpuBytes&) = delete;
  GpuBytes(GpuBytes&& other) noexcept : memory_(std::exchange(other.memory_, nullptr)) {}
  void* get() const { return memory_; }

 private:
  void* memory_ = nullptr;
};

// An array there.
template <typename T>
class OnGpu {
 public:
  // Nothing in particular.
  explicit OnGpu(size_t count) : count_(count), bytes_(count * sizeof(T)) {}
  explicit OnGpu(const std::vector<T>& values) : OnGpu(values.size()) {
    Check(cudaMemcpy(get(), values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice), "copy");
  }
  T* get() const { return static_cast<T*>(bytes_.get()); }
  // Waits for all that was launched.
  std::vector<T> Fetch() const {
    std::vector<T> values(count_);
    Check(cudaMemcpy(values.data(), get(), count_ * sizeof(T), cudaMemcpyDeviceToHost), "fetch");
    return values;
  }

 private:
  size_t count_;
  GpuBytes bytes_;
};

// What was measured of a kernel; a time of 0 was not.
struct Line {
  std::string kernel;
  std::string shape;
  std::optional<double> worst = {};  // greatest difference to the reference; none: timed alone
  double allowed = 0;                // by the kernel's own test
  double seconds = 0;
  double bytes = 0;  // that the kernel must move at least
  double flops = 0;
};

// Prints lines as they come.
class Table {
 public:
  Table();
  void Add(const Line& line);
  bool failed() const { return failed_; }

 private:
  double peak_bytes_ = 0;  // a second
  bool failed_ = false;
};

// The median time of a launch among some, after a first one.
double SecondsOf(const std::function<cuda::LaunchError(cuda::Stream)>& launch);

// One for each room of kernels.
void AddDecode(Table& table);
void AddFci(Table& table);
void AddLearner(Table& table);
void AddRows(Table& table);
void AddSampler(Table& table);
void AddStep(Table& table);

}  // namespace attnrl::bench
