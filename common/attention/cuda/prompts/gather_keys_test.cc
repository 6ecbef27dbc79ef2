// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <vector>

#include "common/attention/cuda/prompts/gather_keys_kernel.h"
#include "common/attention/cuda/testing/gather_case.h"
#include "common/kernels/cuda/testing/emulator.h"

namespace attnrl::attention {
namespace {

template <typename T>
void ExpectTheTokens(int32_t head_dim) {
  const GatherCase<T> of{head_dim};
  for (const cuda::ThreadOrder order : cuda::kAllOrders) {
    std::vector<T> k = of.before, v = of.before;
    const GatherKeys<T> pass = GatherCase<T>::Pass(of.pieces.data(), of.keys.data(),
                                                   of.values.data(), head_dim, k.data(), v.data());
    const absl::Status ran =
        cuda::Emulate<GatherKeysKernel<T>>({3, GatherCase<T>::kHeads}, pass, order);
    ASSERT_TRUE(ran.ok()) << ran;
    EXPECT_EQ(of.Wrong(k, v), 0u);
  }
}

TEST(GatherKeys, BringsTheTokensOfPiecesSideBySide) {
  ExpectTheTokens<float>(64);
  ExpectTheTokens<cuda::BFloat16>(64);
  ExpectTheTokens<cuda::BFloat16>(128);
}

}  // namespace
}  // namespace attnrl::attention
