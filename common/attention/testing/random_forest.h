// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "common/base/philox.h"

namespace attnrl::attention {

// For tests only: trees of `rows` rows in the order of a walk. Of each row the row behind the last
// below it.
inline std::vector<int32_t> RandomForest(RandomStream& random, int32_t rows) {
  std::vector<int32_t> last(static_cast<size_t>(rows));
  const auto draw = [&](int32_t most) {
    return 1 + static_cast<int32_t>(random.Below(static_cast<uint64_t>(most)));
  };
  struct Range {
    int32_t begin, end;
  };
  std::vector<Range> open = {{0, rows}};
  while (!open.empty()) {
    const Range range = open.back();
    open.pop_back();
    // Trees side by side, of which each begins with some rows that all others of it follow.
    for (int32_t root = range.begin, end = root; root < range.end; root = end) {
      end = root + draw(range.end - root);
      const int32_t own = draw(end - root);
      for (int32_t row = root; row < root + own; ++row) last[static_cast<size_t>(row)] = end;
      if (root + own < end) open.push_back({root + own, end});
    }
  }
  return last;
}

}  // namespace attnrl::attention
