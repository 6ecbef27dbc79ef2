// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

namespace attnrl::attention {

// The attention of one head in float32 over rows that are the nodes of a forest in the order of a
// walk (TreeSegment, common/attention/tree_attention.h): row j and all below it are rows [j,
// last[j]), which are the rows that see key j. Pointers are at row 0 of the pass, rows so many
// floats apart.
struct FlashRows {
  const float* at = nullptr;
  int64_t stride = 0;

  const float* Row(int64_t row) const { return at + row * stride; }
};

struct FlashHead {
  FlashRows q, k, v;
  const int32_t* last = nullptr;  // [rows]
  int64_t dim = 0;                // a multiple of 16, at most kMostDim
  float scale = 1;                // of the dot products
};

// A result that is written row by row.
struct FlashTarget {
  float* at = nullptr;
  int64_t stride = 0;

  float* Row(int64_t row) const { return at + row * stride; }
};

// What the way back starts from: the gradient of the result, the result, and the log-sum-exp of the
// scores [rows].
struct FlashBack {
  FlashRows gradient, result;
  const float* lse = nullptr;
};

// All [rows, dim], added to.
struct FlashSums {
  FlashTarget q, k, v;
};

// One source over the lanes of common/kernels, compiled for each instruction set: an output of a
// product is a chain of fused multiply-adds over at most kBlock inputs, and these are added up
// block by block, so that all of them give the same bits. Calls run on the calling thread, keep no
// state and throw nothing.
struct FlashKernel {
  static constexpr int64_t kBlock = 64;
  static constexpr int64_t kMostDim = 256;

  const char* isa;
  // The result of rows [first, end), at most kBlock, of the tree whose first row is `root`; of each
  // the largest score and the sum of exp(score - largest) [rows].
  void (*forward)(const FlashHead& head, int64_t root, int64_t first, int64_t end,
                  const FlashTarget& result, float* largest, float* sum);
  // The gradients of the tree of rows [root, end).
  void (*backward)(const FlashHead& head, int64_t root, int64_t end, const FlashBack& back,
                   const FlashSums& sums);
};

// That of kernels::UsedIsa(), or the best below it.
const FlashKernel& GetFlashKernel();
// All that this machine can run, in the order of Isa, for tests.
std::vector<const FlashKernel*> AllFlashKernels();

}  // namespace attnrl::attention
