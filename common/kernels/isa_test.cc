// SPDX-License-Identifier: Apache-2.0
#include "common/kernels/isa.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "common/kernels/kernels.h"

namespace attnrl::kernels {
namespace {

TEST(Isa, IsTheFastestOfThoseThatTheMachineHas) {
  EXPECT_EQ(AllKernels().size(), static_cast<size_t>(std::min(FastestIsa(), Isa::kAvx512)) + 1);
  EXPECT_LE(UsedIsa(), FastestIsa());
  EXPECT_EQ(&UsedKernels(), AllKernels()[static_cast<size_t>(std::min(UsedIsa(), Isa::kAvx512))]);
}

TEST(Isa, StaysWhatItWasOnceItIsUsed) {
  const Isa used = UsedIsa();
  EXPECT_TRUE(LimitIsa(Isa::kAmxBFloat16).ok());
  EXPECT_TRUE(LimitIsa(used).ok());
  EXPECT_EQ(LimitIsa(Isa::kPortable).ok(), used == Isa::kPortable);
  EXPECT_EQ(UsedIsa(), used);
}

// In a process of its own, in which nothing has used kernels yet.
TEST(IsaDeathTest, CanBeLoweredBeforeTheFirstUse) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        const bool ok = LimitIsa(Isa::kPortable).ok() && UsedIsa() == Isa::kPortable &&
                        &UsedKernels() == AllKernels().front();
        std::exit(ok ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

TEST(Isa, HasWordsForASetting) {
  EXPECT_EQ(ValueOf<Isa>("avx2"), Isa::kAvx2);
  EXPECT_EQ(ValueOf<Isa>("amx_bf16"), Isa::kAmxBFloat16);
  EXPECT_EQ(WordOf(Isa::kPortable), "portable");
  EXPECT_FALSE(ValueOf<Isa>("sse").has_value());
}

}  // namespace
}  // namespace attnrl::kernels
