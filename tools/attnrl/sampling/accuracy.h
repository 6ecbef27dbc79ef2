// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

namespace attnrl::tools {

// Unbiased estimate of the chance that at least one of k samples is right, from `correct` right
// ones of n (tests/README.md, "Evaluation"): 1 - C(n - correct, k) / C(n, k). 0 < k <= n.
double PassAtK(int64_t n, int64_t correct, int64_t k);

struct MeanAndError {
  double mean = 0;
  double standard_error = 0;  // of the mean; 0 for a single value
};
// `values` is not empty.
MeanAndError Summarise(const std::vector<double>& values);

}  // namespace attnrl::tools
