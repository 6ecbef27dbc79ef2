// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "services/branch_scheduler/types.h"
#include "services/learner/train/objective.h"
#include "services/learner/train/pass.h"

namespace attnrl::learner {

using Samples = std::vector<const scheduler::TrainingSample*>;

// Samples that go through the model together. Refers to the batch.
struct PassSamples {
  Samples samples;
  std::vector<PassSequence> sequences;
};

// The samples of a minibatch that are trained: without truncated ones where `mask` says so.
Samples Unmasked(const scheduler::TrainingBatch& batch, const std::vector<size_t>& minibatch,
                 bool mask);

// The passes of each of `parts` parts of a minibatch, with at most `max_tokens` rows each. Parts
// are cut at the boundaries of responses, so that a tree stays whole, nearest to even shares of the
// rows, those that leaves share counted once; where there are fewer responses than parts, some have
// none.
std::vector<std::vector<PassSamples>> PassesByPart(const Samples& samples, int parts,
                                                   Prefixes prefixes, int64_t max_tokens);

// Behaviour log-probs, advantages and weights of every token of a pass, on `device`.
ObjectiveInputs TargetsOf(const Samples& samples, Aggregation aggregation,
                          const at::Device& device);

// What the sum over a minibatch's tokens is divided by; `max_response_tokens` with kSequenceSum.
double DenominatorOf(const Samples& samples, Aggregation aggregation, int64_t max_response_tokens);

}  // namespace attnrl::learner
