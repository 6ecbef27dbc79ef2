// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "common/attention/paged/plan.h"

namespace attnrl::attention {

// Keys and values of one layer: blocks of kBlockTokens tokens, float32 or bfloat16 as its 16 bits.
// Keys lie with their tokens side by side, [blocks, kv_heads, head_dim, kBlockTokens], so that a
// query meets sixteen of them at once; values lie token after token,
// [blocks, kv_heads, kBlockTokens, head_dim].
template <typename T>
struct LayerBlocks {
  const T* keys = nullptr;
  const T* values = nullptr;
};

// A row whose attention to some earlier steps of its sequence is added up (FCI,
// common/attention/fci/README.md): steps that follow each other, step s up to position ends[s].
struct ScoredRow {
  int32_t row = 0;
  int32_t first_key = 0;          // where the first of these steps begins
  int32_t steps = 0;              // 0 or more
  const int32_t* ends = nullptr;  // [steps], ascending
  // Added to: for each layer, head and step the sum of the row's probabilities over the step's
  // keys, [layers, heads, stride]. `scratch` is as one layer of it for each segment that the row
  // sees.
  float* sums = nullptr;
  float* scratch = nullptr;
  int64_t stride = 0;
};

struct PagedArguments {
  // Of the plan.
  const BlockTask* tasks = nullptr;
  const BlockPiece* pieces = nullptr;
  const int32_t* visible = nullptr;
  LayerBlocks<float> float32 = {};  // one of the two
  LayerBlocks<uint16_t> bfloat16 = {};
  const float* q = nullptr;  // [rows, heads, head_dim]
  int64_t heads = 0;         // a multiple of kv_heads
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  float scale = 1;  // of the dot products
  // Rows that are scored, and for each row of the pass its index among these or -1; null: none is.
  const ScoredRow* scored = nullptr;
  const int32_t* scored_of = nullptr;
  int64_t layer = 0;
  int64_t rows = 0;  // of the pass
  // Written for the rows of a chain, once for each slot: the weighted values
  // [slots, rows, heads, head_dim]; the largest score and the sum of exp(score - largest), together
  // the log-sum-exp of the scores [slots, rows, heads].
  float* out = nullptr;
  float* largest = nullptr;
  float* sum = nullptr;
};

// Softmax attention of the rows of one chain and the query heads of one key head, in three parts.
// `attend` meets the keys of the chain's segment and leaves its sums in a slot. `fold` adds those
// of a later segment's slot to slot 0, segment by segment; rows that don't see it stay. `finish`
// makes the attended values of slot 0. Different rows or key heads may run on any threads at once,
// and so may `attend` of one row in different slots.
//
// A row's result depends on its own query and on the keys and values that it sees, to the bit: they
// are taken kBlockTokens absolute positions at a time; a dot product is one chain of fused
// multiply-adds over head_dim; after each stretch the sums are brought to the largest score so far,
// and the weighted values are one chain over the keys of a segment. So it is the same alone or
// among siblings, in a prompt's rows or in decoding, on one thread or many, and with every
// instruction set.
using PagedAttend = void (*)(const PagedArguments& arguments, const TaskChain& chain,
                             int64_t kv_head, int64_t slot);
using PagedFinish = void (*)(const PagedArguments& arguments, const TaskChain& chain,
                             int64_t kv_head);

struct PagedKernel {
  const char* isa;  // "avx512", "avx2" or "portable"
  PagedAttend attend;
  PagedAttend fold;
  PagedFinish finish;
};

// The fastest that this machine has; fixed for the life of the process.
const PagedKernel& GetPagedKernel();
// All that this machine can run, for tests.
std::vector<const PagedKernel*> AllPagedKernels();

}  // namespace attnrl::attention
