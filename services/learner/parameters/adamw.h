// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "services/learner/parameters/parameters.h"

namespace attnrl::learner {

struct AdamWOptions {
  double learning_rate = 1e-6;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.01;
  // Off: tensors of one dimension (the weights of norms, biases) do not decay.
  bool decay_norms_and_biases = true;
};

// One step of AdamW with decoupled weight decay (Loshchilov & Hutter, "Decoupled weight decay
// regularization", algorithm 2; as torch.optim.AdamW) on the masters of `parameters` from their
// gradient, in one loop over the flat tensors, or over what decays and what doesn't. `step` counts
// from 1. Learning rate 0 moves the moments and leaves every bit of the masters. Doesn't refresh
// the leaves.
void AdamWStep(const AdamWOptions& options, int64_t step, Parameters& parameters);

// The Euclidean norm of the gradient over all ranks, which call it together, summed in float64 part
// by part; then, where it exceeds `max_norm` (0: no limit), scales the gradient down to it as
// torch.nn.utils.clip_grad_norm_ does. A norm that is not finite is returned and nothing scaled.
double ClipGradient(Parameters& parameters, double max_norm);

}  // namespace attnrl::learner
