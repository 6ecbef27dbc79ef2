// SPDX-License-Identifier: Apache-2.0
#include "services/learner/pass.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "common/attention/dense_attention.h"

namespace attnrl::learner {
namespace {

at::Tensor ToTensor(const std::vector<int64_t>& values, const at::Device& device) {
  return at::tensor(values, at::kLong).to(device);
}

}  // namespace

Pass MakePass(std::span<const PassSequence> sequences, const at::Device& device) {
  std::vector<int64_t> ids, positions, scored, targets;
  Pass pass;
  for (const PassSequence& sequence : sequences) {
    const int64_t first = static_cast<int64_t>(ids.size());
    const int64_t prompt = static_cast<int64_t>(sequence.prompt.size());
    const int64_t rows = sequence.rows();
    ids.insert(ids.end(), sequence.prompt.begin(), sequence.prompt.end());
    ids.insert(ids.end(), sequence.response.begin(), sequence.response.end() - 1);
    for (int64_t position = 0; position < rows; ++position) positions.push_back(position);
    for (int64_t row = prompt - 1; row < rows; ++row) scored.push_back(first + row);
    targets.insert(targets.end(), sequence.response.begin(), sequence.response.end());
    pass.lengths.push_back(rows);
  }
  pass.ids = ToTensor(ids, device);
  pass.positions = ToTensor(positions, device);
  pass.scored = ToTensor(scored, device);
  pass.targets = ToTensor(targets, device);
  return pass;
}

model::TokenScores ScorePass(const model::Transformer& transformer, const Pass& pass,
                             double temperature) {
  attention::DenseAttention attention(pass.lengths);
  const at::Tensor hidden = transformer.Hidden(pass.ids, pass.positions, attention);
  const at::Tensor logits = transformer.Logits(hidden.index_select(0, pass.scored));
  return model::ScoreTokens(logits, pass.targets, temperature);
}

std::vector<std::vector<size_t>> PlanPasses(std::span<const int64_t> rows, int64_t max_rows) {
  std::vector<size_t> order(rows.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&rows](size_t a, size_t b) { return rows[a] > rows[b]; });
  std::vector<std::vector<size_t>> passes;
  int64_t used = 0;
  for (size_t index : order) {
    if (passes.empty() || used + rows[index] > max_rows) {
      passes.emplace_back();
      used = 0;
    }
    passes.back().push_back(index);
    used += rows[index];
  }
  return passes;
}

}  // namespace attnrl::learner
