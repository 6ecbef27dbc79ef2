// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tools/attnrl/tree/record.h"

namespace attnrl::tools {

// The pieces of a leaf as a list, one a line, shaded by their scores, long runs folded; pieces of
// about a token each flow as one text instead. `before` gives what stands before a piece
// (branches), by its index; `points` are token indices whose surroundings are always shown.
std::string StepList(const TreeProblem& problem, const TreeLeaf& leaf,
                     const std::vector<int64_t>& points,
                     const std::function<std::string(size_t piece)>& before);

// Which pieces are shown at once. All of a short leaf; of a long one the first and last, those
// around `points` and the highest scores. No run of fewer than four is folded.
std::vector<bool> ShownPieces(const TreeLeaf& leaf, TreeScore score,
                              const std::vector<int64_t>& points);

// "step 3 · tokens 24–31 · FCI 0.0123 · ...": what is known of a piece, as a title.
std::string PieceTitle(const TreeProblem& problem, const TreeLeaf& leaf, const TreePiece& piece);

// "FCI" or "entropy".
std::string ScoreName(TreeScore score);

}  // namespace attnrl::tools
