// SPDX-License-Identifier: Apache-2.0
#include "common/device/peak_flops.h"

#include <utility>

namespace attnrl::device {
namespace {

// NVIDIA's data sheets, "BFLOAT16 Tensor Core". Those of H100, H200 and B200 state it with
// sparsity, which is twice as much; B200's states the eight GPUs of an HGX board together. The
// first name that a GPU's begins with counts.
constexpr std::pair<std::string_view, double> kPeaks[] = {
    {"NVIDIA A100", 312e12},            // A100 Tensor Core GPU
    {"NVIDIA H100 PCIe", 756e12},       // H100 Tensor Core GPU (1,513)
    {"NVIDIA H100 NVL", 835e12},        // the same (1,671)
    {"NVIDIA H100 80GB HBM3", 989e12},  // the same, SXM (1,979)
    {"NVIDIA H200 NVL", 835e12},        // H200 Tensor Core GPU (1,671)
    {"NVIDIA H200", 989e12},            // the same, SXM (1,979)
    {"NVIDIA L40S", 362e12},            // L40S
    {"NVIDIA B200", 2250e12},           // HGX B200 (36,000)
};

}  // namespace

std::optional<double> PeakFlops(std::string_view gpu) {
  if (gpu.find(" MIG ") != std::string_view::npos) return std::nullopt;
  for (const auto& [name, peak] : kPeaks) {
    if (gpu.starts_with(name)) return peak;
  }
  return std::nullopt;
}

}  // namespace attnrl::device
