// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "common/kernels/bfloat16/bfloat16_kernels.h"
#include "common/model/operators.h"

namespace attnrl::model {

// True for weights that the CPU operators have kernels for: float32 and bfloat16, where the kernels
// are not those of a machine without vector instructions.
bool CanRunOnCpuOperators(at::ScalarType dtype);

// The own kernels of common/kernels as the standard mode uses them, which is as
// Operators::FixedOrder() does.
const Operators& StandardCpuOperators();

// Linear maps side by side in one packed matrix, float32 or bfloat16 as the weights are; x and the
// results are float32. Takes the tensors and leaves undefined ones. bfloat16 weights are multiplied
// by `kernels`, which round x to bfloat16 too; null: in float32, as float32 weights are.
std::unique_ptr<const Projection> MakePackedProjection(
    const std::vector<LinearTensors>& maps,
    const kernels::BFloat16Kernels* kernels = kernels::UsedBFloat16Kernels());

}  // namespace attnrl::model
