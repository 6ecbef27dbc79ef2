// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace attnrl::attention {

// One call of LibTorch's flash attention within a pass: rows [first, last) ask over the keys of
// rows [begin, end). Where both are the same rows the mask is causal, otherwise all see all.
struct FlashPart {
  int64_t first, last;
  int64_t begin, end;

  bool causal() const { return first == begin; }
  at::Tensor Rows(const at::Tensor& x) const { return x.narrow(0, first, last - first); }
  at::Tensor Keys(const at::Tensor& x) const { return x.narrow(0, begin, end - begin); }
};

// Whether there is a kernel for heads of `head_dim` numbers of this type: always on the CPU; on
// GPUs in bfloat16 and float16, for multiples of 8 up to 256.
bool HasFlash(at::Device device, at::ScalarType dtype, int64_t head_dim);

struct FlashResult {
  at::Tensor result;  // [rows of the part, heads, head_dim]
  at::Tensor lse;     // log-sum-exp of the scores, [rows of the part, heads, 1]
};

// q [rows, heads, head_dim], k and v [rows, kv_heads, head_dim] of the whole pass, on one device.
// Throws c10::Error as LibTorch does.
FlashResult RunFlash(const FlashPart& part, const at::Tensor& q, const at::Tensor& k,
                     const at::Tensor& v);

// Rows of several sequences for one call: sequence i asks with rows [query_ends[i],
// query_ends[i + 1]) over keys [key_ends[i], key_ends[i + 1]), its last row over all of them and
// each row before over one fewer.
struct FlashSequences {
  at::Tensor query_ends = {};  // int32 [sequences + 1] on the device, from 0
  at::Tensor key_ends = {};
  int64_t most_queries = 0;  // of a sequence
  int64_t most_keys = 0;
};

// q [rows, heads, head_dim], k and v [keys, kv_heads, head_dim], on a GPU where HasFlash. Returns
// [rows, heads, head_dim]; rows of a sequence without keys hold anything. Without gradients. Throws
// c10::Error as LibTorch does.
at::Tensor RunFlash(const FlashSequences& sequences, const at::Tensor& q, const at::Tensor& k,
                    const at::Tensor& v);

struct FlashGradients {
  at::Tensor q;  // [rows of the part, heads, head_dim]
  at::Tensor k;  // [keys of the part, kv_heads, head_dim]
  at::Tensor v;
};

// The way back. `result` and `lse` [rows, heads, ..] are of the whole pass and may be those of more
// keys than the part's: the gradients are then the part's share.
FlashGradients BackFlash(const FlashPart& part, const at::Tensor& gradient, const at::Tensor& q,
                         const at::Tensor& k, const at::Tensor& v, const at::Tensor& result,
                         const at::Tensor& lse);

}  // namespace attnrl::attention
