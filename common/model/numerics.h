// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <c10/core/Device.h>

#include <string>

#include "common/model/files/config.h"

namespace attnrl::model {

// Names everything that decides the bits of a worker's results: mode, instruction set or the GPU's
// architecture, dtype and build. Workers announce it; runs with rollout.deterministic refuse a
// mixed set.
std::string NumericsId(DType dtype, at::Device device, bool deterministic);

}  // namespace attnrl::model
