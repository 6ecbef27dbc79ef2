// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "common/base/words.h"

namespace attnrl {

// A step of a sequence: token positions [first, second) over prompt + response. In a list of steps
// the first is the whole prompt, and each begins where the one before ends (common/text/steps.h
// cuts sequences into them).
using StepRange = std::pair<int64_t, int64_t>;

// Where a response is cut into steps (common/text/README.md, "Steps").
enum class StepCut { kParagraph, kLine, kSentence };
inline std::vector<Word<StepCut>> WordsOf(StepCut) {
  return {{"paragraph", StepCut::kParagraph},
          {"line", StepCut::kLine},
          {"sentence", StepCut::kSentence}};
}

}  // namespace attnrl
