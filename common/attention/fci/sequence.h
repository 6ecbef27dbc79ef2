// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "common/base/step_range.h"

namespace attnrl::attention {

// Forward context influence of each step of a sequence (common/attention/fci/README.md,
// "Definition"): how much later steps attend to it.
struct FciOptions {
  int64_t delta = 4;  // steps j >= k + delta count for step k; >= 0
};

// One sequence of a pass. Range 0 is the prompt; the ranges follow each other without a hole from
// position 0 on, none is empty, and the end of the last is the number of the sequence's rows.
struct FciSequence {
  std::vector<StepRange> steps;
  // Index of the step that holds the last </think> of the response: it and all later steps score 0.
  std::optional<int64_t> think_end_step = std::nullopt;
};

}  // namespace attnrl::attention
