// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "tools/attnrl/tree/record.h"

namespace attnrl::tools {

// One response of the problem as HTML: what became of it, a strip of its scores with its branch
// points, and its text step by step with the continuations where they leave it. Ids: "r0" of the
// response, "r0b1" of its second point, "r0b1c0" of that point's first continuation.
std::string ResponseSection(const TreeProblem& problem, size_t index);

// A branch point's mark with its number: filled, or hollow where it filled up or repeats.
std::string PointMark(int64_t number, const std::string& origin);

// "above the threshold", "filled up", ...; empty where the origin isn't recorded.
std::string OriginText(const std::string& origin);

}  // namespace attnrl::tools
