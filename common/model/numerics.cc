// SPDX-License-Identifier: Apache-2.0
#include "common/model/numerics.h"

#include <ATen/Version.h>
#include <torch/headeronly/version.h>

#include "absl/strings/str_cat.h"
#include "common/device/gpus.h"
#include "common/kernels/isa.h"

namespace attnrl::model {
namespace {

// What multiplies bfloat16 itself shows in the bits of bfloat16 models alone, and only Intel
// documents the order of sums within these instructions.
std::string InstructionsOf(DType dtype) {
  const kernels::Isa used = kernels::UsedIsa();
  if (used <= kernels::Isa::kAvx512) return std::string(WordOf(used));
  if (dtype != DType::kBFloat16) return std::string(WordOf(kernels::Isa::kAvx512));
  std::string word(WordOf(used));
#if defined(__x86_64__)
  word += __builtin_cpu_is("intel") ? "-intel" : "-amd";
#endif
  return word;
}

}  // namespace

std::string NumericsId(DType dtype, at::Device device, bool deterministic) {
  const std::string type(DTypeName(dtype));
  const std::string isa = InstructionsOf(dtype);
  if (deterministic) {
    return absl::StrCat("fixed-order/", isa, "/", type, "/attnrl-" ATTNRL_VERSION);
  }
  const std::string hardware = device.is_cuda() ? device::DescribeGpu(device.index())
                                                : absl::StrCat(isa, "/", at::get_cpu_capability());
  return absl::StrCat("standard/", hardware, "/", type,
                      "/torch-" TORCH_VERSION "/attnrl-" ATTNRL_VERSION);
}

}  // namespace attnrl::model
