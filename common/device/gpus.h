// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace attnrl::device {

// What the driver says of this machine's GPUs, numbered from 0 as CUDA_VISIBLE_DEVICES leaves them.
// No function makes a context on one. Any thread.

// Whether this build has CUDA, which every process with LibTorch then loads, GPU or not.
bool HasCuda();

// How many there are, at least one. FAILED_PRECONDITION says in a few words why there is none: a
// build without CUDA, no driver, no GPU, or what the driver complains of.
absl::StatusOr<int> CountGpus();

// Which of `gpus` a process takes: the one with the number that it is told, or else (-1) that of
// its LOCAL_RANK, or else the first. InputError on `where` for one that isn't there.
absl::StatusOr<int> PickGpu(int number, const char* local_rank, int gpus, std::string_view where);

// The architecture of a GPU that is there and the libraries that compute on it: "sm_90/cuda-13.0".
std::string DescribeGpu(int number);

// What the driver calls a GPU that is there: "NVIDIA H100 80GB HBM3"; empty where it doesn't say.
std::string GpuName(int number);

// Bytes of all memory of a GPU that is there; 0 where the driver doesn't say.
int64_t GpuMemory(int number);

// The PCI address of a GPU that is there, by which Nvml (nvml.h) knows it; empty where the driver
// doesn't say.
std::string GpuAddress(int number);

// Why this process can't use a GPU any more that it has used, in the driver's words: an address out
// of bounds or a fault of the hardware, after which every call fails until the process ends. Empty
// where it can. Unlike the functions above it makes a context.
std::string GpuFault(int number);

}  // namespace attnrl::device
