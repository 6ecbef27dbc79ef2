// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/sampling/accuracy.h"

#include <cmath>

namespace attnrl::tools {

double PassAtK(int64_t n, int64_t correct, int64_t k) {
  if (n - correct < k) return 1;
  // The product of (n - correct - i) / (n - i) needs no large factorials.
  double all_wrong = 1;
  for (int64_t i = 0; i < k; ++i) {
    all_wrong *= static_cast<double>(n - correct - i) / static_cast<double>(n - i);
  }
  return 1 - all_wrong;
}

MeanAndError Summarise(const std::vector<double>& values) {
  const double count = static_cast<double>(values.size());
  MeanAndError result;
  for (const double value : values) result.mean += value / count;
  if (values.size() < 2) return result;
  double squares = 0;
  for (const double value : values) squares += (value - result.mean) * (value - result.mean);
  result.standard_error = std::sqrt(squares / (count - 1) / count);
  return result;
}

}  // namespace attnrl::tools
