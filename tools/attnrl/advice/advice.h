// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/attnrl/advice/measured.h"

namespace attnrl::tools {

// So many workers and ranks of the learner, and what a step would take with them; seconds.
struct Split {
  int64_t workers = 0, ranks = 0;
  double step = 0;
  double sampling = 0;  // of a worker
  double learning = 0;
};

// By the rules of this folder's README.
Split Predict(const Measured& measured, int64_t workers, int64_t ranks);

// The split as it is, with one worker or rank more or fewer, and with one device moved from one
// side to the other; in the order of workers, then ranks. None has fewer than one of each.
std::vector<Split> Neighbours(const Measured& measured);

// The split of as many devices as there are whose step is the shortest; of equal ones the one as it
// is, else that with the fewest workers.
Split Best(const Measured& measured);

// All of it for people: what was measured, a table, who waits, what would help, what is assumed.
std::string AdviceText(const std::string& run, const Measured& measured);

}  // namespace attnrl::tools
