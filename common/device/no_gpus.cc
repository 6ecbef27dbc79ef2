// SPDX-License-Identifier: Apache-2.0
#include "common/device/gpus.h"

namespace attnrl::device {

bool HasCuda() { return false; }

absl::StatusOr<int> CountGpus() {
  return absl::FailedPreconditionError("this build has no CUDA support");
}

std::string DescribeGpu(int) { return "none"; }

std::string GpuName(int) { return ""; }

int64_t GpuMemory(int) { return 0; }

std::string GpuAddress(int) { return ""; }

std::string GpuFault(int) { return ""; }

}  // namespace attnrl::device
