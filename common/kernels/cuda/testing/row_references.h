// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "common/base/philox.h"
#include "common/kernels/cuda/kernel_language.h"

namespace attnrl::cuda {

// For tests and measurements only: the operations of rows.h as they read, in float64.

// Numbers in [-spread, spread) that T holds exactly.
template <typename T>
std::vector<T> RandomNumbers(RandomStream& random, int64_t count, double spread = 2) {
  std::vector<T> numbers;
  for (int64_t i = 0; i < count; ++i) {
    numbers.push_back(FromFloat<T>(static_cast<float>(spread * (2 * random.Uniform() - 1))));
  }
  return numbers;
}

// weight * x / sqrt(mean(x^2) + eps); x [rows, n].
template <typename T>
std::vector<double> NormInDouble(const std::vector<T>& x, const std::vector<T>& weight,
                                 double eps) {
  std::vector<double> y;
  const size_t n = weight.size();
  for (size_t first = 0; first < x.size(); first += n) {
    double squares = 0;
    for (size_t i = 0; i < n; ++i) squares += std::pow(double{ToFloat(x[first + i])}, 2);
    const double inverse = 1 / std::sqrt(squares / static_cast<double>(n) + eps);
    for (size_t i = 0; i < n; ++i) {
      y.push_back(double{ToFloat(x[first + i])} * inverse * double{ToFloat(weight[i])});
    }
  }
  return y;
}

template <typename T>
double SiluInDouble(T gate, T up) {
  const double x = ToFloat(gate);
  return x / (1 + std::exp(-x)) * double{ToFloat(up)};
}

}  // namespace attnrl::cuda
