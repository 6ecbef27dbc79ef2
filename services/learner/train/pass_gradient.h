// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "common/attention/attention.h"
#include "common/model/transformer.h"
#include "services/learner/parameters/parameters.h"
#include "services/learner/train/pass.h"
#include "services/learner/train/token_scores.h"

namespace attnrl::learner {

// Which layers are computed again on the way back. kAuto: all, where their activations would take
// more than an eighth of the memory that there is. The gradient has the same bits either way.
enum class CheckpointLayers { kAll, kNone, kAuto };

// Bytes that autograd keeps of one row of one layer, in elements of so many bytes: inputs of norms,
// projections and products, and what norms, rotation and SiLU keep between.
int64_t ActivationBytes(const model::ModelConfig& config, int64_t element);

// Whether layers of a pass of `rows` are computed again, on a device of `memory` bytes (0: not
// known).
bool ComputesAgain(CheckpointLayers checkpoint, const model::ModelConfig& config, int64_t rows,
                   int64_t element, int64_t memory);

// One pass through the model and back, layer by layer: forward keeps the input of each layer; going
// back, a layer is computed again from it and differentiated, its gradient is added to the float32
// one, and everything of it is freed. Memory beside the parameters: rows x hidden a layer, the
// activations of one layer, ChunkedScores (and all activations where nothing is computed again).
//
//   PassGradient pass_gradient(transformer, parameters, pass, options);
//   ... loss of pass_gradient.scores(), gradients of the loss in them ...
//   pass_gradient.Backward(logprob_gradient, entropy_gradient);
//
// What it was made from outlives it. One thread. What LibTorch throws passes through.
class PassGradient {
 public:
  struct Options {
    double temperature = 1;
    CheckpointLayers checkpoint = CheckpointLayers::kAuto;
  };

  // Runs the forward pass. `transformer` computes with parameters.leaves().
  PassGradient(const model::Transformer& transformer, Parameters& parameters, const Pass& pass,
               const Options& options);

  // Of every token, float32 [tokens], without a graph.
  const model::TokenScores& scores() const { return scores_; }

  // Adds the gradient of the loss to parameters.gradient(), once. Arguments: that of the loss in
  // the log-probs and in the entropies (undefined: zero), float32 [tokens].
  void Backward(const at::Tensor& logprob_gradient, const at::Tensor& entropy_gradient);

 private:
  // Output undefined where the layer is computed again.
  struct LayerRun {
    at::Tensor input;
    at::Tensor output;
  };

  // A layer with a graph from `input`, which requires a gradient.
  at::Tensor RunLayer(int64_t index, const at::Tensor& input) const;
  // The rows that the layer's result has: all (undefined), and of the last layer those that score.
  at::Tensor WantedOf(int64_t index) const;

  const model::Transformer& transformer_;
  Parameters& parameters_;
  const Pass& pass_;
  std::string head_name_;
  at::Tensor head_;  // [vocabulary, hidden] in float32
  std::unique_ptr<attention::Attention> attention_;
  model::RotaryRows rotary_;
  std::vector<LayerRun> layers_;
  at::Tensor last_;    // [scored rows, hidden], before the final norm
  at::Tensor hidden_;  // the same after it
  ChunkedScores chunks_;
  model::TokenScores scores_;
};

}  // namespace attnrl::learner
