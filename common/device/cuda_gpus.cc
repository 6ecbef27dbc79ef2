// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime_api.h>

#include "absl/strings/str_cat.h"
#include "common/device/gpus.h"

namespace attnrl::device {
namespace {

int DriverVersion() {
  int version = 0;
  return cudaDriverGetVersion(&version) == cudaSuccess ? version : 0;
}

// "13.0" of 13000.
std::string VersionText(int version) {
  return absl::StrCat(version / 1000, ".", version % 1000 / 10);
}

}  // namespace

bool HasCuda() { return true; }

absl::StatusOr<int> CountGpus() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess && count > 0) return count;
  const int driver = DriverVersion();
  if (driver == 0) {
    return absl::FailedPreconditionError("this machine has no NVIDIA driver");
  }
  if (error == cudaErrorInsufficientDriver) {
    return absl::FailedPreconditionError(
        absl::StrCat("the NVIDIA driver knows CUDA up to ", VersionText(driver),
                     " only; this build needs ", VersionText(CUDART_VERSION)));
  }
  if (error == cudaSuccess || error == cudaErrorNoDevice) {
    return absl::FailedPreconditionError(
        "the NVIDIA driver sees no GPU (CUDA_VISIBLE_DEVICES may hide them)");
  }
  return absl::FailedPreconditionError(
      absl::StrCat("the NVIDIA driver answers: ", cudaGetErrorString(error)));
}

std::string DescribeGpu(int number) {
  int major = 0;
  int minor = 0;
  int runtime = 0;
  if (cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, number) != cudaSuccess ||
      cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, number) != cudaSuccess ||
      cudaRuntimeGetVersion(&runtime) != cudaSuccess) {
    return "unknown";
  }
  return absl::StrCat("sm_", major, minor, "/cuda-", VersionText(runtime));
}

std::string GpuName(int number) {
  cudaDeviceProp properties = {};
  const bool known = cudaGetDeviceProperties(&properties, number) == cudaSuccess;
  return known ? properties.name : "";
}

int64_t GpuMemory(int number) {
  cudaDeviceProp properties = {};
  const bool known = cudaGetDeviceProperties(&properties, number) == cudaSuccess;
  return known ? static_cast<int64_t>(properties.totalGlobalMem) : 0;
}

std::string GpuAddress(int number) {
  char address[32] = {};
  const bool known = cudaDeviceGetPCIBusId(address, sizeof(address), number) == cudaSuccess;
  return known ? address : "";
}

std::string GpuFault(int number) {
  size_t free = 0;
  size_t total = 0;
  cudaError_t error = cudaSetDevice(number);
  if (error == cudaSuccess) error = cudaMemGetInfo(&free, &total);
  // An error that isn't of the context, such as memory that has run out, is forgotten when it was
  // told.
  return error == cudaSuccess ? "" : cudaGetErrorString(error);
}

}  // namespace attnrl::device
