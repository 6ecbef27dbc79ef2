// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace attnrl {

// The candidate nearest to `word` by edit distance (a neighbour swap counts one), or "" when none
// is near enough to be a slip of the finger: one letter of a short word, two or a third of a longer
// one. For "did you mean".
std::string Nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace attnrl
