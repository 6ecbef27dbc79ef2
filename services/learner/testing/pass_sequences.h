// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "services/learner/train/pass.h"

namespace attnrl::learner {

// For tests only.

// A prompt and its response.
struct Sequence {
  std::vector<int32_t> prompt;
  std::vector<int32_t> response;
};

// Valid as long as `sequences`.
inline std::vector<PassSequence> Views(const std::vector<Sequence>& sequences) {
  std::vector<PassSequence> views;
  for (const Sequence& sequence : sequences) views.push_back({sequence.prompt, sequence.response});
  return views;
}

// Two prompts; leaves that share parts of responses, one that ends where another goes on, one twice
// the same.
inline const std::vector<Sequence>& Forest() {
  static const std::vector<Sequence> sequences = {
      {{1, 2, 3}, {4, 5, 6, 7}}, {{9, 8}, {7, 6}}, {{1, 2, 3}, {4, 5, 9}}, {{1, 2, 3}, {4, 5}},
      {{1, 2, 3}, {8, 1}},       {{9, 8}, {7, 6}}, {{1, 2}, {3, 4, 5, 6}}, {{9, 8}, {5}}};
  return sequences;
}

}  // namespace attnrl::learner
