// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/attention/cuda/prompts/gather_keys.h"
#include "common/kernels/cuda/kernel_language.h"

namespace attnrl::attention {

// A cache with a number for each place, exact in either type, and pieces of it: a whole block, the
// start of one, and a part from the middle of one.
template <typename T>
struct GatherCase {
  static constexpr int32_t kHeads = 2, kBlocks = 3;
  static constexpr float kUntouched = 1000;

  const int32_t head_dim;
  const std::vector<GatheredPiece> pieces = {{2, 0, 32, 0}, {0, 0, 5, 32}, {1, 5, 20, 32}};
  // Numbers of the results: a token more than is gathered.
  const size_t size = static_cast<size_t>(53 * kHeads * head_dim);
  const std::vector<T> keys = Numbers(true), values = Numbers(false);
  const std::vector<T> before = std::vector<T>(size, cuda::FromFloat<T>(kUntouched));

  // Of keys, whose negatives are the values.
  static float NumberOf(int32_t block, int32_t head, int32_t token, int32_t d) {
    return static_cast<float>((block * 71 + head * 37 + token * 5 + d) % 251);
  }
  std::vector<T> Numbers(bool of_keys) const {
    std::vector<T> numbers;
    for (int32_t block = 0; block < kBlocks; ++block) {
      for (int32_t head = 0; head < kHeads; ++head) {
        for (int32_t i = 0; i < head_dim * kBlockTokens; ++i) {
          numbers.push_back(
              cuda::FromFloat<T>(of_keys ? NumberOf(block, head, i % kBlockTokens, i / kBlockTokens)
                                         : -NumberOf(block, head, i / head_dim, i % head_dim)));
        }
      }
    }
    return numbers;
  }

  // What the launch is to leave of the keys; the values are the negatives, but for the last token.
  std::vector<float> Wanted() const {
    std::vector<float> wanted;
    for (const GatheredPiece& piece : pieces) {
      for (int32_t token = piece.from; token < piece.to; ++token) {
        for (int32_t i = 0; i < kHeads * head_dim; ++i) {
          wanted.push_back(NumberOf(piece.block, i / head_dim, token, i % head_dim));
        }
      }
    }
    return wanted;
  }

  // How many numbers are others.
  size_t Wrong(const std::vector<T>& k, const std::vector<T>& v) const {
    const std::vector<float> wanted = Wanted();
    size_t wrong = 0;
    for (size_t i = 0; i < size; ++i) {
      const bool gathered = i < wanted.size();
      wrong += cuda::ToFloat(k[i]) != (gathered ? wanted[i] : kUntouched) ? 1 : 0;
      wrong += cuda::ToFloat(v[i]) != (gathered ? -wanted[i] : kUntouched) ? 1 : 0;
    }
    return wrong;
  }

  // Of arrays where the kernel runs.
  static GatherKeys<T> Pass(const GatheredPiece* pieces, const T* keys, const T* values,
                            int32_t head_dim, T* k, T* v) {
    return {.pieces = pieces,
            .keys = keys,
            .values = values,
            .kv_heads = kHeads,
            .head_dim = head_dim,
            .gathered_k = k,
            .gathered_v = v};
  }
};

}  // namespace attnrl::attention
