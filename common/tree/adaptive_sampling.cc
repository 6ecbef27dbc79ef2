// SPDX-License-Identifier: Apache-2.0
#include "common/tree/adaptive_sampling.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <utility>

namespace attnrl::tree {
namespace {

// Indices of the responses of one kind, ascending.
std::vector<int64_t> Where(const std::vector<bool>& correct, bool kind) {
  std::vector<int64_t> indices;
  for (size_t i = 0; i < correct.size(); ++i) {
    if (correct[i] == kind) indices.push_back(static_cast<int64_t>(i));
  }
  return indices;
}

}  // namespace

int64_t ExpansionCount(double accuracy, int64_t responses, ExpandRounding rounding) {
  const double exact = std::exp(-accuracy) * static_cast<double>(responses);
  const double rounded = rounding == ExpandRounding::kCeil ? std::ceil(exact) : std::round(exact);
  return std::clamp<int64_t>(static_cast<int64_t>(rounded), 1, responses);
}

std::vector<int64_t> ResponsesToExpand(const std::vector<bool>& correct, Expand expand,
                                       ExpandRounding rounding, const RandomKey& key) {
  const auto responses = static_cast<int64_t>(correct.size());
  const auto solved = static_cast<int64_t>(std::count(correct.begin(), correct.end(), true));
  const double accuracy = static_cast<double>(solved) / static_cast<double>(responses);
  const int64_t count = ExpansionCount(accuracy, responses, rounding);
  if (expand == Expand::kAll || solved == 0 || solved == responses) {
    const bool all = expand == Expand::kAll || solved == 0;
    std::vector<int64_t> first(static_cast<size_t>(all ? responses : count));
    std::iota(first.begin(), first.end(), 0);
    return first;
  }
  const bool rarer = 2 * solved < responses;
  std::vector<int64_t> chosen = Where(correct, rarer);
  std::vector<int64_t> others = Where(correct, !rarer);
  RandomStream random(key);
  while (expand == Expand::kDifficulty && static_cast<int64_t>(chosen.size()) < count) {
    const auto pick = static_cast<ptrdiff_t>(random.Below(others.size()));
    chosen.push_back(others[static_cast<size_t>(pick)]);
    others.erase(others.begin() + pick);
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

double AttentionMean(std::span<const std::vector<float>> fci) {
  double total = 0;
  for (const std::vector<float>& steps : fci) {
    double sum = 0;
    for (size_t k = 1; k < steps.size(); ++k) sum += static_cast<double>(steps[k]);
    total += sum / static_cast<double>(steps.size() - 1);
  }
  return total / static_cast<double>(fci.size());
}

double NextBatchReal(double last_real, int64_t problems, int64_t valid, const BatchSizing& sizing) {
  const double needed =
      std::floor(static_cast<double>(problems) * static_cast<double>(sizing.target) /
                 static_cast<double>(std::max<int64_t>(1, valid)));
  return 0.9 * last_real + 0.1 * needed;
}

int64_t BatchProblems(double real, const BatchSizing& sizing) {
  // Clamped before the conversion: a batch without samples asks for very many problems.
  const double bounded =
      std::clamp(std::ceil(real), static_cast<double>(sizing.min), static_cast<double>(sizing.max));
  return static_cast<int64_t>(bounded);
}

}  // namespace attnrl::tree
