// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

#include "absl/status/statusor.h"
#include "common/model/files/safetensors_file.h"

namespace attnrl::model {

// One tensor of `file` on the CPU, in memory of its own and its own dtype: F32, BF16, F64, I64 or
// U8, others are an InputError. Thread-safe.
absl::StatusOr<at::Tensor> ReadTensor(const SafetensorsFile& file, const TensorInfo& info);

// The format's name of a dtype, "F32" for float32; empty for what we don't write.
std::string_view SafetensorsDType(at::ScalarType dtype);

}  // namespace attnrl::model
