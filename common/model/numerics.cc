// SPDX-License-Identifier: Apache-2.0
#include "common/model/numerics.h"

#include <ATen/Version.h>
#include <torch/headeronly/version.h>

#include "absl/strings/str_cat.h"
#include "common/device/gpus.h"
#include "common/kernels/isa.h"

namespace attnrl::model {

std::string NumericsId(DType dtype, at::Device device, bool deterministic) {
  const std::string type(DTypeName(dtype));
  const std::string isa(WordOf(kernels::UsedIsa()));
  if (deterministic) {
    return absl::StrCat("fixed-order/", isa, "/", type, "/attnrl-" ATTNRL_VERSION);
  }
  const std::string hardware = device.is_cuda() ? device::DescribeGpu(device.index())
                                                : absl::StrCat(isa, "/", at::get_cpu_capability());
  return absl::StrCat("standard/", hardware, "/", type,
                      "/torch-" TORCH_VERSION "/attnrl-" ATTNRL_VERSION);
}

}  // namespace attnrl::model
