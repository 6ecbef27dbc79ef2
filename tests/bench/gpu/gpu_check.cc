// SPDX-License-Identifier: Apache-2.0
// Runs every GPU kernel on the GPU that is there, compares it with its reference and times it
// against the bytes that it must move. Prints a table for tests/bench/gpu.md; exits 1 where a
// difference is greater than the kernel's test allows.
//   gpu_check
#include "tests/bench/gpu/gpu_check.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace attnrl::bench {

void Check(cudaError_t error, const char* what) {
  if (error != cudaSuccess) Check(cudaGetErrorString(error), what);
}

void Check(cuda::LaunchError error, const char* what) {
  if (error == nullptr) return;
  std::fprintf(stderr, "error: %s: %s\n", what, error);
  std::exit(1);
}

GpuBytes::GpuBytes(size_t bytes) {
  Check(cudaMalloc(&memory_, std::max<size_t>(bytes, 1)), "memory of the GPU");
}

GpuBytes::~GpuBytes() { cudaFree(memory_); }

Table::Table() {
  cudaDeviceProp properties;
  Check(cudaGetDeviceProperties(&properties, 0), "GPU 0");
  int clock = 0, width = 0;
  Check(cudaDeviceGetAttribute(&clock, cudaDevAttrMemoryClockRate, 0), "memory clock");
  Check(cudaDeviceGetAttribute(&width, cudaDevAttrGlobalMemoryBusWidth, 0), "memory bus");
  // Two transfers a clock of kHz, on a bus of bits.
  peak_bytes_ = 2.0 * clock * 1e3 * width / 8;
  char date[16];
  const std::time_t now = std::time(nullptr);
  std::strftime(date, sizeof(date), "%Y-%m-%d", std::localtime(&now));
  std::printf("%s, %s, sm_%d%d, %d processors, %.2f TB/s of memory\n\n", date, properties.name,
              properties.major, properties.minor, properties.multiProcessorCount,
              peak_bytes_ * 1e-12);
  std::printf("| kernel | shape | worst, allowed | microseconds | TB/s (share) | TFLOP/s |\n");
  std::printf("|---|---|---|---|---|---|\n");
}

void Table::Add(const Line& line) {
  std::printf("| %s | %s | ", line.kernel.c_str(), line.shape.c_str());
  if (line.worst.has_value()) {
    const bool wrong = !(*line.worst <= line.allowed);
    failed_ = failed_ || wrong;
    std::printf("%.2g, %.2g%s | ", *line.worst, line.allowed, wrong ? " WRONG" : "");
  } else {
    std::printf("| ");
  }
  if (line.seconds > 0) {
    const double rate = line.bytes / line.seconds;
    std::printf("%.1f | %.2f (%.0f %%) | %.1f |\n", line.seconds * 1e6, rate * 1e-12,
                100 * rate / peak_bytes_, line.flops / line.seconds * 1e-12);
  } else {
    std::printf("| | |\n");
  }
  std::fflush(stdout);
}

double SecondsOf(const std::function<cuda::LaunchError(cuda::Stream)>& launch) {
  constexpr int kLaunches = 21;
  cudaEvent_t events[kLaunches + 1];
  for (cudaEvent_t& event : events) Check(cudaEventCreate(&event), "event");
  Check(launch(nullptr), "launch");
  Check(cudaEventRecord(events[0], nullptr), "event");
  for (int i = 0; i < kLaunches; ++i) {
    Check(launch(nullptr), "launch");
    Check(cudaEventRecord(events[i + 1], nullptr), "event");
  }
  Check(cudaDeviceSynchronize(), "kernel");
  std::vector<float> milliseconds(kLaunches);
  for (size_t i = 0; i < kLaunches; ++i) {
    Check(cudaEventElapsedTime(&milliseconds[i], events[i], events[i + 1]), "event");
  }
  for (cudaEvent_t& event : events) cudaEventDestroy(event);
  std::nth_element(milliseconds.begin(), milliseconds.begin() + kLaunches / 2, milliseconds.end());
  return static_cast<double>(milliseconds[kLaunches / 2]) * 1e-3;
}

}  // namespace attnrl::bench

int main() {
  attnrl::bench::Table table;
  attnrl::bench::AddDecode(table);
  attnrl::bench::AddFci(table);
  attnrl::bench::AddRows(table);
  attnrl::bench::AddSampler(table);
  attnrl::bench::AddStep(table);
  attnrl::bench::AddLearner(table);
  return table.failed() ? 1 : 0;
}
