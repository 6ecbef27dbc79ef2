// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "common/kernels/cuda/rows.h"
#include "common/kernels/cuda/testing/row_references.h"
#include "tests/bench/gpu/gpu_check.h"

namespace attnrl::bench {
namespace {

using cuda::BFloat16;
using cuda::RandomNumbers;
using cuda::ToFloat;

// Greatest difference as a share of what one rounding to T and sums in float32 allow.
template <typename T>
double Worst(const std::vector<T>& found, const std::vector<double>& expected) {
  double worst = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double allowed = 4e-6 + (sizeof(T) == 2 ? 0x1p-8 : 1e-6) * std::abs(expected[i]);
    worst = std::max(worst, std::abs(ToFloat(found[i]) - expected[i]) / allowed);
  }
  return worst;
}

template <typename T>
void CheckNorm(Table& table, const char* type, int64_t rows, int64_t n) {
  RandomStream random({.seed = 2});
  const std::vector<T> x = RandomNumbers<T>(random, rows * n);
  const std::vector<T> added = RandomNumbers<T>(random, rows * n);
  const std::vector<T> weight = RandomNumbers<T>(random, n);
  std::vector<T> sum = x;
  for (size_t i = 0; i < sum.size(); ++i) {
    sum[i] = cuda::FromFloat<T>(ToFloat(x[i]) + ToFloat(added[i]));
  }
  const OnGpu<T> x_there(x), added_there(added), weight_there(weight), y_there(x.size());
  const cuda::ResidualNorm<T> norm{.x = x_there.get(),
                                   .added = added_there.get(),
                                   .weight = weight_there.get(),
                                   .y = y_there.get(),
                                   .n = n,
                                   .eps = 1e-5F};
  Check(LaunchResidualNorm(norm, rows, nullptr), "norm");
  const double worst = Worst(y_there.Fetch(), cuda::NormInDouble(sum, weight, 1e-5));
  const double seconds =
      SecondsOf([&](cuda::Stream stream) { return LaunchResidualNorm(norm, rows, stream); });
  table.Add({"residual and norm, of what is allowed",
             std::to_string(rows) + " rows of " + std::to_string(n) + ", " + type, worst, 1,
             seconds, static_cast<double>(rows * n) * 4 * sizeof(T)});
}

template <typename T>
void CheckSilu(Table& table, const char* type, int64_t rows, int64_t n) {
  RandomStream random({.seed = 3});
  const std::vector<T> both = RandomNumbers<T>(random, rows * 2 * n, 20);
  std::vector<double> expected;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < n; ++i) {
      const T* const at = both.data() + row * 2 * n + i;
      expected.push_back(cuda::SiluInDouble(at[0], at[n]));
    }
  }
  const OnGpu<T> both_there(both), y_there(expected.size());
  const cuda::GatedSilu<T> silu{.gate = both_there.get(),
                                .up = both_there.get() + n,
                                .stride = 2 * n,
                                .y = y_there.get(),
                                .n = n};
  const double seconds =
      SecondsOf([&](cuda::Stream stream) { return LaunchGatedSilu(silu, rows, stream); });
  table.Add({"gated SiLU, of what is allowed",
             std::to_string(rows) + " rows of " + std::to_string(n) + ", " + type,
             Worst(y_there.Fetch(), expected), 1, seconds,
             static_cast<double>(rows * n) * 3 * sizeof(T)});
}

}  // namespace

void AddRows(Table& table) {
  CheckNorm<float>(table, "float32", 37, 576);
  for (const int64_t rows : {64, 256, 4096}) {
    CheckNorm<BFloat16>(table, "bfloat16", rows, 1536);
    CheckSilu<BFloat16>(table, "bfloat16", rows, 8960);
  }
  CheckSilu<float>(table, "float32", 37, 1000);
}

}  // namespace attnrl::bench
