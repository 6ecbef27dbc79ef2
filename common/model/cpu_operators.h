// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "common/model/operators.h"

namespace attnrl::model {

// True for weights that the CPU operators have kernels for: float32 and bfloat16, where the kernels
// are not those of a machine without vector instructions.
bool CanRunOnCpuOperators(at::ScalarType dtype);

// The own kernels of common/kernels as the standard mode uses them: those of
// Operators::FixedOrder(), except that many rows of bfloat16 products go to LibTorch on processors
// that multiply bfloat16 themselves.
const Operators& StandardCpuOperators();

// Linear maps side by side in one packed matrix, float32 or bfloat16 as the weights are; x and the
// results are float32. Takes the tensors and leaves undefined ones. Passes of `library_rows` rows
// and more go to LibTorch in bfloat16, for which the weights are kept as they came too; kNever:
// none.
inline constexpr int64_t kNever = INT64_MAX;
std::unique_ptr<const Projection> MakePackedProjection(const std::vector<LinearTensors>& maps,
                                                       int64_t library_rows);

}  // namespace attnrl::model
