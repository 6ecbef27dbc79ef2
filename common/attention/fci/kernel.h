// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace attnrl::attention {

// CPU kernel of FCI (common/attention/fci/README.md, "Definition"): causal attention of one
// sequence, block of queries by block of queries, that sums the probabilities of each query over
// the keys of each step while it has them. FlashAttention's online softmax (arXiv 2205.14135) with
// the queries in the lanes: the probabilities of a tile of keys come out key after key, so that
// steps of any size are sums of whole registers and every score is exponentiated once.
//
// Every sum has one order that the sequence alone decides: over head_dim and over keys from first
// to last, rescaled between tiles of kFciKeys keys. The builds for AVX-512, AVX2+FMA and portable
// C++ give the same bits.
inline constexpr int64_t kFciQueries = 32;  // a block
inline constexpr int64_t kFciKeys = 64;     // a tile

// Part of a step within one tile of keys.
struct FciPiece {
  int64_t begin = 0;  // keys [begin, end)
  int64_t end = 0;
  int64_t step = 0;
};

// What all layers and heads of a sequence share; made once, read by any thread. Memory: O(rows).
class FciPlan {
 public:
  // `steps` as of FciSequence (fci.h): they follow each other from 0 on, none is empty.
  FciPlan(std::span<const std::pair<int64_t, int64_t>> steps, int64_t delta);

  int64_t rows() const { return rows_; }
  int64_t steps() const { return static_cast<int64_t>(first_query_.size()); }
  int64_t blocks() const { return (rows_ + kFciQueries - 1) / kFciQueries; }
  int64_t tiles() const { return (rows_ + kFciKeys - 1) / kFciKeys; }
  // Keys [64 t, 64 t + 64) of tile t, cut at the boundaries of steps.
  const std::vector<FciPiece>& pieces() const { return pieces_; }
  // Tile t has the pieces [first_piece(t), first_piece(t + 1)).
  int64_t first_piece(int64_t tile) const { return first_piece_[static_cast<size_t>(tile)]; }
  // The first query whose attention counts for a step: where step k + delta begins, else rows().
  int64_t first_query(int64_t step) const { return first_query_[static_cast<size_t>(step)]; }
  // 1 / size of the step of a query; zeros up to whole blocks.
  const float* query_share() const { return query_share_.data(); }

 private:
  int64_t rows_ = 0;
  std::vector<FciPiece> pieces_;
  std::vector<int64_t> first_piece_;
  std::vector<int64_t> first_query_;
  std::vector<float> query_share_;
};

// One block of queries of one head. Row r of q is at q + r * q_stride, of head_dim floats; the
// same for k, v (the key head's) and out.
struct FciBlock {
  const FciPlan* plan = nullptr;
  int64_t block = 0;
  int64_t head_dim = 0;
  float scale = 1;  // of the dot products
  const float* q = nullptr;
  const float* k = nullptr;
  const float* v = nullptr;
  float* out = nullptr;  // null: scores alone, v isn't read
  int64_t q_stride = 0;
  int64_t k_stride = 0;
  int64_t v_stride = 0;
  int64_t out_stride = 0;
  // [steps], added to: for each step k the sum over the block's queries i that count for it of
  // (sum over the keys of k of p_i) / size of the step of i. Divide by the size of k in the end.
  double* sums = nullptr;
  float* scratch = nullptr;  // FciScratch(plan, head_dim) floats, 64-byte aligned
};
int64_t FciScratch(const FciPlan& plan, int64_t head_dim);

struct FciKernel {
  const char* isa;  // "avx512", "avx2" or "portable"
  void (*run)(const FciBlock& block);
};

// That of kernels::UsedIsa(), or the best below it.
const FciKernel& GetFciKernel();
// All that this machine can run, for tests.
std::vector<const FciKernel*> AllFciKernels();

}  // namespace attnrl::attention
