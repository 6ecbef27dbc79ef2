// SPDX-License-Identifier: Apache-2.0
#include "common/attention/fci/testing/reference.h"

#include <algorithm>
#include <cmath>

namespace attnrl::attention {
namespace {

using Matrix = std::vector<std::vector<double>>;

// Causal softmax(q k' / sqrt(head_dim)) of one head, [query][key].
Matrix Probabilities(const FciLayer& layer, int64_t rows, int64_t head) {
  const int64_t kv_head = head / (layer.heads / layer.kv_heads);
  Matrix p(static_cast<size_t>(rows), std::vector<double>(static_cast<size_t>(rows), 0.0));
  for (int64_t i = 0; i < rows; ++i) {
    std::vector<double>& row = p[static_cast<size_t>(i)];
    for (int64_t j = 0; j <= i; ++j) {
      double dot = 0;
      for (int64_t d = 0; d < layer.head_dim; ++d) {
        const auto query = static_cast<size_t>((i * layer.heads + head) * layer.head_dim + d);
        const auto key = static_cast<size_t>((j * layer.kv_heads + kv_head) * layer.head_dim + d);
        dot += static_cast<double>(layer.q[query]) * static_cast<double>(layer.k[key]);
      }
      row[static_cast<size_t>(j)] = dot / std::sqrt(static_cast<double>(layer.head_dim));
    }
    const double max = *std::max_element(row.begin(), row.begin() + i + 1);
    double sum = 0;
    for (int64_t j = 0; j <= i; ++j) {
      sum += row[static_cast<size_t>(j)] = std::exp(row[static_cast<size_t>(j)] - max);
    }
    for (double& value : row) value /= sum;
  }
  return p;
}

// Mean of p over the queries of step j and the keys of step k.
double Mean(const Matrix& p, const StepRange& j, const StepRange& k) {
  double sum = 0;
  for (int64_t query = j.first; query < j.second; ++query) {
    for (int64_t key = k.first; key < k.second; ++key) {
      sum += p[static_cast<size_t>(query)][static_cast<size_t>(key)];
    }
  }
  return sum / static_cast<double>((j.second - j.first) * (k.second - k.first));
}

}  // namespace

FciLayerResult FciReference(const FciLayer& layer, const FciSequence& sequence,
                            const FciOptions& options) {
  const std::vector<StepRange>& steps = sequence.steps;
  const int64_t rows = steps.back().second;
  const auto count = static_cast<int64_t>(steps.size());
  FciLayerResult result;
  result.rows.assign(static_cast<size_t>(rows * layer.heads * layer.head_dim), 0.0);
  result.scores.assign(steps.size(), 0.0);
  for (int64_t head = 0; head < layer.heads; ++head) {
    const Matrix p = Probabilities(layer, rows, head);
    const int64_t kv_head = head / (layer.heads / layer.kv_heads);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j <= i; ++j) {
        for (int64_t d = 0; d < layer.head_dim; ++d) {
          const auto value =
              static_cast<size_t>((j * layer.kv_heads + kv_head) * layer.head_dim + d);
          result.rows[static_cast<size_t>((i * layer.heads + head) * layer.head_dim + d)] +=
              p[static_cast<size_t>(i)][static_cast<size_t>(j)] *
              static_cast<double>(layer.v[value]);
        }
      }
    }
    // The prompt, the first response step and all from the end of thinking on keep 0.
    for (int64_t k = 2; k < sequence.think_end_step.value_or(count); ++k) {
      double influence = 0;
      for (int64_t j = k + options.delta; j < count; ++j) {
        influence += Mean(p, steps[static_cast<size_t>(j)], steps[static_cast<size_t>(k)]);
      }
      double& score = result.scores[static_cast<size_t>(k)];
      score = std::max(score, influence);
    }
  }
  return result;
}

}  // namespace attnrl::attention
