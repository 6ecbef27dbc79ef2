// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/tree/criteria/criterion.h"

// What the choices among scored steps share.
namespace attnrl::tree {

// Of a list of steps: 0 is the prompt, 1 the first response step, which is never chosen.
inline constexpr size_t kFirstCandidate = 2;

// True where step `candidate` lies at least `distance` tokens from the start of the sequence and
// from each taken step, which may lie on either side of it.
bool KeepsDistance(std::span<const StepRange> steps, size_t candidate,
                   const std::vector<size_t>& taken, int64_t distance);

// Points at the starts of the steps `taken`, in ascending order; `origins`, one each, stay with
// their points.
std::vector<BranchPoint> PointsAt(std::span<const StepRange> steps,
                                  const std::vector<size_t>& taken,
                                  const std::vector<PointOrigin>& origins);

}  // namespace attnrl::tree
