// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace attnrl::attention {

// Whether ForestFlash computes heads of `head_dim` numbers of this type: on a CPU with AVX2 or
// more, float32, and bfloat16 in float32, for multiples of 16 up to 256.
bool HasForestFlash(at::Device device, at::ScalarType dtype, int64_t head_dim);

// Attention of a whole forest of rows by own CPU kernels (flash/), with gradients. What stays for
// the way back besides arguments and result is one float a row and head; on the way there are
// float32 copies of bfloat16 arguments, and gradients of keys and values by query head. q [rows,
// heads, head_dim], k and v [rows, kv_heads, head_dim]; key j is seen by rows [j, last[j]), int32
// [rows], which are nested (TreeSegment). Rounded once, to the type of q. Any thread; works on
// ParallelFor's, whose number doesn't show in the bits.
at::Tensor ForestFlash(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                       const at::Tensor& last);

}  // namespace attnrl::attention
