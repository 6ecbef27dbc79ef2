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
  int64_t initial_responses = 6;    // n
};

// Cuts a batch into minibatches (services/learner/train/README.md, "Minibatches"): the problems in
// an order shuffled by (seed, batch); max(1, round(v / (minibatch_problems * n))) minibatches of
// near-equal sample count, each cut at the response boundary nearest to its even share. `places`
// come with the samples of a response next to each other and the responses of a problem next to
// each other. Returns indices of samples; every one exactly once, no minibatch empty. Pure: depends
// on nothing else.
std::vector<std::vector<size_t>> CutMinibatches(std::span<const SamplePlace> places,
                                                const MinibatchOptions& options);

}  // namespace attnrl::learner
