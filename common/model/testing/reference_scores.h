// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/ATen.h>

#include "common/model/transformer.h"

namespace attnrl::model {

// For tests only.

// Scores of targets[i] under softmax(logits[rows[i]] / temperature), as the formula reads and
// differentiable: logits [n, vocab], rows and targets int64 [tokens].
inline TokenScores ScoreByFormula(const at::Tensor& logits, const at::Tensor& rows,
                                  const at::Tensor& targets, double temperature) {
  const at::Tensor logprobs = at::log_softmax(logits / temperature, -1);
  const at::Tensor entropy = -(logprobs.exp() * logprobs).sum(-1);
  return {.logprobs = logprobs.index({rows, targets}), .entropy = entropy.index_select(0, rows)};
}

}  // namespace attnrl::model
