// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/base/philox.h"
#include "common/base/step_range.h"
#include "common/tree/criteria/criterion.h"

// The function of each criterion and choice (common/tree/README.md, "Branch points"): pure, from
// any thread, points in ascending order of `split`. `steps` has the prompt first and covers
// prompt + response.
namespace attnrl::tree {

// Tokens of the response that the steps cover.
inline int64_t ResponseTokens(std::span<const StepRange> steps) {
  return steps.empty() ? 0 : steps.back().second - steps.front().second;
}

// `positional` choice among scored steps: the `count` earliest of those whose score reaches the
// threshold, with `min_distance` tokens between the start of the sequence (prompt included) and the
// first, and between the end of one taken and the start of the next (origin kThreshold). Where that
// gives too few and options.fill is on, the earliest steps not yet taken fill up (kFill), then once
// more those that are taken (kDuplicate), so that there are `count` points. The first response step
// is never chosen; none for a response of one step. The threshold is the quantile over all response
// steps with linear interpolation, in double; where it is 0, the smallest positive score; where no
// score is positive, every step qualifies. `steps` has the prompt first and covers prompt +
// response; `fci` has one score a step, the prompt's (which is not read) included.
std::vector<BranchPoint> PositionalPoints(std::span<const StepRange> steps,
                                          std::span<const float> fci, const PointOptions& options);

// `top` choice: the `count` highest positive scores from the second response step on, ties to the
// earlier step (origin kChosen); with options.spaced each keeps `min_distance` as above, in the
// order of falling scores. Fewer points where there are not enough; `quantile` is not read.
// Arguments as in PositionalPoints.
std::vector<BranchPoint> TopPoints(std::span<const StepRange> steps, std::span<const float> fci,
                                   const PointOptions& options);

// `random`: `count` starts of response steps from the second on, drawn without replacement from the
// stream of `key` (purpose kBranch; node = the response). Where there are fewer steps than `count`,
// each is taken once before any is taken again. None for a response of one step.
std::vector<BranchPoint> RandomPoints(std::span<const StepRange> steps, int64_t count,
                                      const RandomKey& key);

// `fixed_length`: cuts the response into 4 x `count` blocks of equal length (to one token; a
// response with fewer tokens than that into its tokens) and draws among the blocks' starts, the
// first excluded, as RandomPoints does among steps. Four times as many blocks as points leave the
// seed a choice about as wide as the threshold leaves it: one in four steps, against one in five.
// None for a response of fewer than two tokens.
std::vector<BranchPoint> FixedLengthPoints(int64_t response_tokens, int64_t count,
                                           const RandomKey& key);

// `earliest`: the starts of the second, third, ... response step; from the front again where there
// are fewer than `count`, so that there are `count` points. None for a response of one step.
std::vector<BranchPoint> EarliestPoints(std::span<const StepRange> steps, int64_t count);

// `entropy`: the `count` tokens of highest entropy, the last token excluded; ties go to the earlier
// token. `entropy` in nats, one a response token. Fewer points where there are fewer tokens.
std::vector<BranchPoint> EntropyPoints(std::span<const float> entropy, int64_t count);

}  // namespace attnrl::tree
