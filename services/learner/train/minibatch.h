// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace attnrl::learner {

// Where a sample belongs in its batch.
struct SamplePlace {
  uint32_t position;  // of the problem in its batch
  uint32_t response;  // initial response; its leaves stay together
};

struct MinibatchOptions {
  uint64_t seed = 0;  // run.seed
  uint32_t batch = 0;
  int64_t minibatch_problems = 32;  // learner.minibatch_problems
  int64_t steps_per_batch = 0;      // learner.steps_per_batch; 0: minibatch_problems says it
  int64_t initial_responses = 6;    // n
};

// Cuts a batch into minibatches (services/learner/train/README.md, "Minibatches"): the problems in
// an order shuffled by (seed, batch); steps_per_batch minibatches, or
// max(1, round(v / (minibatch_problems * n))) of them, of near-equal sample count, each cut at the
// response boundary nearest to its even share; one a response where there are fewer. `places`
// come with the samples of a response next to each other and the responses of a problem next to
// each other. Returns indices of samples; every one exactly once, no minibatch empty. Pure: depends
// on nothing else.
std::vector<std::vector<size_t>> CutMinibatches(std::span<const SamplePlace> places,
                                                const MinibatchOptions& options);

// How many minibatches a batch of `samples` samples of `responses` initial responses is cut into.
int64_t MinibatchCount(const MinibatchOptions& options, int64_t samples, int64_t responses);

}  // namespace attnrl::learner
