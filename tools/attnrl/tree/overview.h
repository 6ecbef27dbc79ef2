// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "tools/attnrl/tree/record.h"

namespace attnrl::tools {

// The whole tree as one SVG at the scale of tokens: a bar for each response, shaded by its scores,
// with a band of its advantages below; a line for each continuation, in the colour of its
// advantage, that leaves the bar where it splits. Rows link to the response's section ("#r0"). No
// more than some 420 cells a bar, however long the response.
std::string OverviewSvg(const TreeProblem& problem);

// A piece of a picture at token scale: the highest score among tokens [begin, end).
struct ScoreCell {
  double begin = 0;
  double end = 0;
  double score = 0;
};

// The scored pieces of a response in order; neighbours share a cell where there are more than
// `most` pieces, so that there are no more than `most` + 1 cells.
std::vector<ScoreCell> ScoreCells(const TreeLeaf& leaf, TreeScore score, int64_t most);

// The symbol of a leaf's outcome, as <use>-able by id: "right" (filled, a tick), "wrong" (a ring, a
// cross) or "ungraded" (a dashed ring).
std::string OutcomeSymbols();

}  // namespace attnrl::tools
