// SPDX-License-Identifier: Apache-2.0
#include "common/attention/cuda/prompts/gather_keys.h"

#include <gtest/gtest.h>

#include <vector>

#include "common/attention/cuda/prompts/gather_keys_kernel.h"
#include "common/kernels/cuda/testing/emulator.h"

namespace attnrl::attention {
namespace {

// A number for each place of a cache, exact in either type where the parts are small.
template <typename T>
void ExpectTheTokens(int32_t head_dim) {
  constexpr int32_t kHeads = 2, kBlocks = 3;
  const auto number = [](int32_t block, int32_t head, int32_t token, int32_t d) {
    return static_cast<float>((block * 71 + head * 37 + token * 5 + d) % 251);
  };
  std::vector<T> keys, values;
  for (int32_t block = 0; block < kBlocks; ++block) {
    for (int32_t head = 0; head < kHeads; ++head) {
      for (int32_t i = 0; i < head_dim * kBlockTokens; ++i) {
        keys.push_back(cuda::FromFloat<T>(number(block, head, i % kBlockTokens, i / kBlockTokens)));
        values.push_back(cuda::FromFloat<T>(-number(block, head, i / head_dim, i % head_dim)));
      }
    }
  }
  const std::vector<GatheredPiece> pieces = {{2, 0, 32, 0}, {0, 0, 5, 32}, {1, 5, 20, 32}};
  const auto size = static_cast<size_t>(53 * kHeads * head_dim);  // a token more than is gathered
  for (const cuda::ThreadOrder order : cuda::kAllOrders) {
    const T untouched = cuda::FromFloat<T>(1000);
    std::vector<T> k(size, untouched), v(size, untouched);
    const GatherKeys<T> pass{.pieces = pieces.data(),
                             .keys = keys.data(),
                             .values = values.data(),
                             .kv_heads = kHeads,
                             .head_dim = head_dim,
                             .gathered_k = k.data(),
                             .gathered_v = v.data()};
    const absl::Status ran = cuda::Emulate<GatherKeysKernel<T>>({3, kHeads}, pass, order);
    ASSERT_TRUE(ran.ok()) << ran;
    size_t at = 0;
    for (const GatheredPiece& piece : pieces) {
      for (int32_t token = piece.from; token < piece.to; ++token) {
        for (int32_t i = 0; i < kHeads * head_dim; ++i, ++at) {
          const float wanted = number(piece.block, i / head_dim, token, i % head_dim);
          ASSERT_EQ(cuda::ToFloat(k[at]), wanted) << at;
          ASSERT_EQ(cuda::ToFloat(v[at]), -wanted) << at;
        }
      }
    }
    for (; at < size; ++at) ASSERT_EQ(cuda::ToFloat(k[at]), cuda::ToFloat(untouched));
  }
}

TEST(GatherKeys, BringsTheTokensOfPiecesSideBySide) {
  ExpectTheTokens<float>(64);
  ExpectTheTokens<cuda::BFloat16>(64);
  ExpectTheTokens<cuda::BFloat16>(128);
}

}  // namespace
}  // namespace attnrl::attention
