// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "common/base/philox.h"
#include "common/tree/criteria/criterion.h"

namespace attnrl::tree {

// `count` of the response positions `starts`, drawn from the stream of `key`; each is drawn once
// before any is drawn again. Ascending; empty without a start.
std::vector<BranchPoint> Draw(const std::vector<int64_t>& starts, int64_t count,
                              const RandomKey& key);

}  // namespace attnrl::tree
