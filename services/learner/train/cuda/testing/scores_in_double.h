// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "common/base/philox.h"

namespace attnrl::learner {

// For tests and measurements only: a chunk of rows, and its scores as the definitions read.
struct ScoreCase {
  int64_t vocabulary = 0;
  double temperature = 1;
  std::vector<float> logits;
  std::vector<int32_t> first_token, ids;
  std::vector<float> logprob_gradient, entropy_gradient;

  // Row r predicts (r * 2) % 5 tokens, two of them the same where there are so many.
  ScoreCase(int64_t rows, int64_t size, double divisor) : vocabulary(size), temperature(divisor) {
    RandomStream random({.seed = 13});
    const auto number = [&](double spread) {
      return static_cast<float>(spread * (2 * random.Uniform() - 1));
    };
    for (int64_t i = 0; i < rows * vocabulary; ++i) logits.push_back(number(9));
    first_token.push_back(0);
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t t = 0; t < row * 2 % 5; ++t) {
        const auto id = static_cast<int32_t>(random.Below(static_cast<uint64_t>(vocabulary)));
        ids.push_back(t == 1 ? ids.back() : id);
        logprob_gradient.push_back(number(1));
        entropy_gradient.push_back(number(0.1));
      }
      first_token.push_back(static_cast<int32_t>(ids.size()));
    }
  }
  int64_t rows() const { return static_cast<int64_t>(first_token.size()) - 1; }
};

struct ScoresInDouble {
  std::vector<double> logprobs, entropy, gradient;

  explicit ScoresInDouble(const ScoreCase& of) : gradient(of.logits.size(), 0) {
    const auto size = static_cast<size_t>(of.vocabulary);
    for (size_t row = 0; row < static_cast<size_t>(of.rows()); ++row) {
      std::vector<double> z;
      for (size_t i = 0; i < size; ++i) {
        z.push_back(double{of.logits[row * size + i]} / of.temperature);
      }
      const double most = *std::max_element(z.begin(), z.end());
      double sum = 0, h = 0;
      for (const double x : z) sum += std::exp(x - most);
      for (double& x : z) x -= most + std::log(sum);
      for (const double x : z) h -= std::exp(x) * x;
      entropy.push_back(h);
      for (auto t = static_cast<size_t>(of.first_token[row]);
           t < static_cast<size_t>(of.first_token[row + 1]); ++t) {
        const auto id = static_cast<size_t>(of.ids[t]);
        logprobs.push_back(z[id]);
        for (size_t i = 0; i < size; ++i) {
          const double p = std::exp(z[i]);
          const double d = of.logprob_gradient[t] * ((i == id ? 1 : 0) - p) -
                           of.entropy_gradient[t] * p * (z[i] + h);
          gradient[row * size + i] += d / of.temperature;
        }
      }
    }
  }
};

}  // namespace attnrl::learner
