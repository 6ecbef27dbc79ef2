// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "common/model/transformer.h"
#include "services/learner/reference/reference.h"
#include "services/learner/train/cuda/score_kernels.h"
#include "services/learner/train/pass.h"

namespace attnrl::learner {

// What ChunkedScores has of logits at a time: a product with fewer rows than some hundred is slower
// for each of them.
inline constexpr int64_t kLogitBytes = int64_t{256} << 20;

// From the states after the final norm to log-probs and entropies and back, in chunks of rows: at
// most kLogitBytes of logits at a time, whatever the vocabulary and the length of the pass. What
// stays is two floats a scored row: logits are computed again on the way back, unless one chunk has
// all.
//
// For one pass, forward first. Works on the device of its tensors; logits are float32 (float64 for
// a model of float64). Makes no autograd graph. One thread at a time.
class ChunkedScores {
 public:
  // Logits of states: [n, hidden] -> [n, vocabulary].
  using Logits = std::function<at::Tensor(const at::Tensor& hidden)>;

  // temperature 0 counts as 1. `pass` outlives it. `kernels` (null: those of the GPU that the pass
  // lies on, operations of LibTorch elsewhere) want logits in float32.
  ChunkedScores(const Pass& pass, int64_t vocabulary, double temperature, Logits logits,
                const ScoreKernels* kernels = nullptr);

  // Of every token, [tokens], for hidden [scored rows, hidden]; entropy is left undefined where it
  // isn't wanted.
  model::TokenScores Forward(const at::Tensor& hidden, bool entropy = true);

  // The gradient of `hidden`, in the logits' dtype, for the gradients of the log-probs and of the
  // entropies (undefined: zero), each [tokens]. `weight` [vocabulary, hidden] is the head's, in the
  // logits' dtype; its gradient is added to `weight_gradient`, if defined.
  at::Tensor Backward(const at::Tensor& hidden, const at::Tensor& logprob_gradient,
                      const at::Tensor& entropy_gradient, const at::Tensor& weight,
                      at::Tensor weight_gradient);

 private:
  // Rows [first, first + rows) of the scored ones, and the tokens that they predict.
  struct Chunk {
    int64_t first;
    int64_t rows;
    at::Tensor tokens;   // int64: of all tokens
    at::Tensor row;      // int64: of each of them, counted from `first`
    at::Tensor element;  // int64: its logit in [rows, vocabulary], flat
    // For kernels, int32: where the tokens of each row begin, and the end; and the tokens' ids.
    at::Tensor first_token;
    at::Tensor ids;
  };
  struct RowScores {
    at::Tensor log_sum;   // [rows]
    at::Tensor entropy;   // [rows]; undefined where it isn't wanted
    at::Tensor logprobs;  // of the chunk's tokens
  };

  // Divided by the temperature, unless there are kernels, which do that.
  at::Tensor LogitsOf(const at::Tensor& hidden, const Chunk& chunk) const;
  RowScores Score(const at::Tensor& logits, const Chunk& chunk, bool entropy) const;
  RowScores ScoreByKernel(const at::Tensor& logits, const Chunk& chunk, bool entropy) const;
  // The gradient takes the place of the logits. Arguments of the chunk's tokens.
  void Differentiate(at::Tensor& logits, const Chunk& chunk, const at::Tensor& of_logprobs,
                     const at::Tensor& of_entropies) const;
  void DifferentiateByKernel(const at::Tensor& logits, const Chunk& chunk,
                             const at::Tensor& of_logprobs, const at::Tensor& of_entropies) const;

  Logits logits_;
  const ScoreKernels* const kernels_;
  double temperature_;
  int64_t tokens_;
  std::vector<Chunk> chunks_;
  at::Tensor logits_of_all_;  // undefined where they are computed again
  at::Tensor log_sum_;        // of each scored row: log of the sum of exp(logit / temperature)
  at::Tensor entropy_;        // of each scored row; undefined where it wasn't wanted
};

// The name of the weight that makes the logits.
const char* HeadName(const model::ModelConfig& config);

// Scores of a pass without any gradient. A head in training is made float32 once for all chunks,
// and lies there in float32 meanwhile.
model::TokenScores ScorePass(const model::Transformer& transformer, const Pass& pass,
                             double temperature, bool entropy);

// The log-prob of every token under the reference model. [tokens]
at::Tensor ReferenceLogprobs(const Reference& reference, const Pass& pass, double temperature);

}  // namespace attnrl::learner
