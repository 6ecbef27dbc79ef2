// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/attention/cuda/append_rows_kernel.h"
#include "common/attention/cuda/testing/paged_case.h"
#include "common/kernels/cuda/testing/emulator.h"

namespace attnrl::attention {
namespace {

using cuda::BFloat16;

// Rows of three sequences, of which one leaves another in the middle of a block.
template <typename T>
void ExpectRowsInTheirPlaces() {
  PagedCase<T> of(
      {.heads = 3, .kv_heads = 1, .head_dim = 64},
      {{.tokens = 40, .rows = 9}, {.shared = 20, .tokens = 25, .rows = 2}, {.tokens = 1}});
  const auto rows = static_cast<size_t>(of.plan.rows());
  constexpr size_t kDim = 64;
  std::vector<float> cosine, sine;
  for (size_t position = 0; position < 40; ++position) {
    for (size_t d = 0; d < kDim; ++d) {
      const double angle =
          static_cast<double>(position) * std::pow(1e4, -static_cast<double>(d % 32) / 32);
      cosine.push_back(static_cast<float>(std::cos(angle)));
      sine.push_back(static_cast<float>(d < kDim / 2 ? -std::sin(angle) : std::sin(angle)));
    }
  }
  RandomStream random({.seed = 4});
  std::vector<T> projected;
  for (size_t i = 0; i < rows * 5 * kDim; ++i) {
    projected.push_back(cuda::FromFloat<T>(static_cast<float>(2 * random.Uniform() - 1)));
  }
  for (const cuda::ThreadOrder order : cuda::kAllOrders) {
    PagedCase<T> into = of;
    const T nan = cuda::FromFloat<T>(NAN);
    into.values.assign(into.values.size(), nan);
    const AppendRows<T> pass{.q = projected.data(),
                             .k = projected.data() + 3 * kDim,
                             .v = projected.data() + 4 * kDim,
                             .q_stride = 5 * kDim,
                             .k_stride = 5 * kDim,
                             .v_stride = 5 * kDim,
                             .heads = 3,
                             .kv_heads = 1,
                             .head_dim = kDim,
                             .cosine = cosine.data(),
                             .sine = sine.data(),
                             .visible = of.plan.visible().data(),
                             .places = of.plan.places().data(),
                             .turned = into.q.data(),
                             .keys = into.keys.data(),
                             .values = into.values.data()};
    ASSERT_TRUE(cuda::Emulate<AppendRowsKernel<T>>({of.plan.rows()}, pass, order).ok());
    const auto written = std::count_if(into.values.begin(), into.values.end(),
                                       [](T x) { return !std::isnan(cuda::ToFloat(x)); });
    EXPECT_EQ(written, rows * kDim);  // and nobody else's
    const double rounding = sizeof(T) == 2 ? 0x1p-8 : 1e-6;
    for (size_t row = 0; row < rows; ++row) {
      const RowPlace place = of.plan.places()[row];
      const auto angle = static_cast<size_t>(of.plan.visible()[row] - 1) * kDim;
      for (size_t head = 0; head < 5; ++head) {
        const T* const x = projected.data() + (row * 5 + head) * kDim;
        for (size_t d = 0; d < kDim; ++d) {
          const double turned = double{cuda::ToFloat(x[d])} * cosine[angle + d] +
                                double{cuda::ToFloat(x[(d + 32) % kDim])} * sine[angle + d];
          const auto at = static_cast<int64_t>(d);
          if (head < 3) {
            EXPECT_NEAR(cuda::ToFloat(into.q[(row * 3 + head) * kDim + d]), turned, rounding);
          } else if (head == 3) {
            const auto key = static_cast<size_t>(of.KeyAt(place.block, place.offset, 0, at));
            EXPECT_NEAR(cuda::ToFloat(into.keys[key]), turned, rounding);
          } else {
            const auto value = static_cast<size_t>(of.ValueAt(place.block, place.offset, 0, at));
            EXPECT_EQ(cuda::ToFloat(into.values[value]), cuda::ToFloat(x[d]));
          }
        }
      }
    }
  }
}

TEST(AppendRows, TurnsQueriesAndKeysAndPutsRowsInTheirPlaces) {
  ExpectRowsInTheirPlaces<float>();
  ExpectRowsInTheirPlaces<BFloat16>();
}

}  // namespace
}  // namespace attnrl::attention
