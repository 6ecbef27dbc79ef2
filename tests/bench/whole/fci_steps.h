// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "common/model/transformer.h"
#include "tests/bench/whole/whole_table.h"

namespace attnrl::bench {

// Scoring one sequence of random tokens in steps of 32.
struct FciCost {
  StepCost step;              // the shorter of two after a first one
  int64_t peak = 0;           // bytes of tensors at most beyond the model's
  std::vector<float> scores;  // of the steps
};

// By the product's own pass ("recompute").
absl::StatusOr<FciCost> TimeRecompute(const model::Transformer& model, int64_t tokens);

// By attention as its formula reads, of plain operators of LibTorch: the probabilities of one layer
// at a time as one tensor, float32 [heads, tokens, tokens].
FciCost TimeEager(const model::Transformer& model, int64_t tokens);

// The greatest difference of two sequences' scores, divided by the greatest score of `b`; infinite
// where that is 0 or numbers are none.
double RelativeDifference(const std::vector<float>& a, const std::vector<float>& b);

}  // namespace attnrl::bench
