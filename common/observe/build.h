// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace attnrl::observe {

// The CUDA that this build computes with, a value of the label `cuda` of attnrl_build_info: "none"
// in a build without it.
std::string_view CudaOfBuild();

}  // namespace attnrl::observe
