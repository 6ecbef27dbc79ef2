// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace attnrl {

// Least number of bytes to insert, drop, replace or swap with their neighbour that makes `a` of `b`
// (optimal string alignment). Time and memory O(|a| |b|): callers bound what outsiders send.
size_t EditDistance(std::string_view a, std::string_view b);

// The candidate nearest to `word` by EditDistance, or "" when none is near enough to be a slip of
// the finger: one letter of a short word, two or a third of a longer one. For "did you mean".
std::string Nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace attnrl
