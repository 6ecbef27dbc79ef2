// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "services/learner/ranks/rank_group.h"

namespace attnrl::learner {

// For tests only: calls `work` for each of `size` ranks in a thread of its own, with a group in
// this process's memory. What one throws is thrown again when all have ended; the others then get a
// RankError from whatever they wait for.
void RunRanks(int size, const std::function<void(RankGroup&)>& work);

}  // namespace attnrl::learner
