// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

namespace attnrl::rollout {

// One sequence's part of a step: `rows` new tokens after `past` cached ones in KV slot `slot`.
struct PlannedSequence {
  int64_t slot = 0;
  int64_t past = 0;
  int64_t rows = 0;
};

// The first `tokens` cached tokens of a slot, copied to another before the pass: sequences that
// begin alike compute what they share once.
struct PrefixCopy {
  int64_t from_slot = 0;
  int64_t to_slot = 0;
  int64_t tokens = 0;
};

// What one forward pass computes, as plain data: the whole seam between the engine and the runner.
// Sequences that decode (one row) come first, then those that prefill, each by ascending slot.
// Every sequence wants the logits of its last row.
struct StepPlan {
  std::vector<PrefixCopy> copies;
  std::vector<PlannedSequence> sequences;
  // Tokens of all sequences, one after another.
  std::vector<int64_t> ids;

  bool empty() const { return sequences.empty(); }
  int64_t rows() const { return static_cast<int64_t>(ids.size()); }
};

}  // namespace attnrl::rollout
