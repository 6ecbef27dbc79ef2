// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "common/kernels/cuda/rows_kernel.h"
#include "common/kernels/cuda/testing/emulator.h"
#include "common/kernels/cuda/testing/row_references.h"

namespace attnrl::cuda {
namespace {

// What a result of this size may be off by: float32 sums, and one rounding to T.
template <typename T>
double Allowed(double y) {
  return 3e-6 + (sizeof(T) == 2 ? 0x1p-8 * std::abs(y) : 0);
}

template <typename T>
void ExpectNorms(int64_t n, bool residual) {
  RandomStream random({.seed = 2});
  constexpr int64_t kRows = 3;
  const std::vector<T> x = RandomNumbers<T>(random, kRows * n);
  const std::vector<T> added = RandomNumbers<T>(random, kRows * n);
  const std::vector<T> weight = RandomNumbers<T>(random, n);
  std::vector<T> sum = x;
  for (size_t i = 0; residual && i < sum.size(); ++i) {
    sum[i] = FromFloat<T>(ToFloat(x[i]) + ToFloat(added[i]));
  }
  const std::vector<double> expected = NormInDouble(sum, weight, 1e-5);
  std::vector<float> first;
  for (const ThreadOrder order : kAllOrders) {
    std::vector<T> in_place = x;
    std::vector<T> y(x.size());
    const ResidualNorm<T> norm{.x = in_place.data(),
                               .added = residual ? added.data() : nullptr,
                               .weight = weight.data(),
                               .y = y.data(),
                               .n = n,
                               .eps = 1e-5F};
    ASSERT_TRUE(Emulate<ResidualNormKernel<T>>({kRows}, norm, order).ok());
    std::vector<float> found;
    for (size_t i = 0; i < y.size(); ++i) {
      ASSERT_EQ(ToFloat(in_place[i]), ToFloat(sum[i])) << i;
      ASSERT_NEAR(ToFloat(y[i]), expected[i], Allowed<T>(expected[i])) << n << " " << i;
      found.push_back(ToFloat(y[i]));
    }
    if (first.empty()) first = found;
    EXPECT_EQ(found, first);
  }
}

TEST(ResidualNorm, EqualsTheFormulaForRowsOfManySizes) {
  for (const int64_t n : {8, 64, 576, 1536, 3584, 8192}) {
    ExpectNorms<float>(n, true);
    ExpectNorms<BFloat16>(n, true);
  }
}

TEST(ResidualNorm, LeavesTheRowsWhereNothingIsAdded) {
  ExpectNorms<float>(128, false);
  ExpectNorms<BFloat16>(128, false);
}

template <typename T>
void ExpectSilu(int64_t n) {
  RandomStream random({.seed = 3});
  constexpr int64_t kRows = 3;
  // Gate and up side by side, as one product gives them.
  const std::vector<T> both = RandomNumbers<T>(random, kRows * 2 * n, 30);
  for (const ThreadOrder order : kAllOrders) {
    std::vector<T> y(static_cast<size_t>(kRows * n));
    const GatedSilu<T> silu{
        .gate = both.data(), .up = both.data() + n, .stride = 2 * n, .y = y.data(), .n = n};
    constexpr int64_t kPart = GatedSiluKernel<T>::kThreads * kSixteenBytes<T>;
    ASSERT_TRUE(Emulate<GatedSiluKernel<T>>({kRows, (n + kPart - 1) / kPart}, silu, order).ok());
    for (int64_t row = 0; row < kRows; ++row) {
      for (int64_t i = 0; i < n; ++i) {
        const T* const at = both.data() + row * 2 * n + i;
        const double expected = SiluInDouble(at[0], at[n]);
        ASSERT_NEAR(ToFloat(y[static_cast<size_t>(row * n + i)]), expected,
                    Allowed<T>(expected) + 1e-6 * std::abs(expected));
      }
    }
  }
}

TEST(GatedSilu, EqualsTheFormula) {
  for (const int64_t n : {8, 1000, 2056, 4864}) {
    ExpectSilu<float>(n);
    ExpectSilu<BFloat16>(n);
  }
}

}  // namespace
}  // namespace attnrl::cuda
