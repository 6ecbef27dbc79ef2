// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

namespace attnrl::model {

// Rows `ids` (int64 [rows], dense) of a dense table [n, ...], without gradients. On the CPU in
// float32, of float32 or bfloat16, in one of the thread's kept tensors; elsewhere as they are.
// Throws c10::Error where an id names no row.
at::Tensor TakeRows(const at::Tensor& table, const at::Tensor& ids);

}  // namespace attnrl::model
