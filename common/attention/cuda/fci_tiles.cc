// SPDX-License-Identifier: Apache-2.0
#include "common/attention/cuda/fci_tiles.h"

#include <algorithm>

namespace attnrl::attention {

void FciTiles::Add(const FciSequence& sequence) {
  const std::vector<StepRange>& steps = sequence.steps;
  const auto first_row = static_cast<int32_t>(share_.size());
  const auto rows = static_cast<int32_t>(steps.back().second);
  const int32_t end = first_row + rows;
  const auto count = static_cast<int64_t>(steps.size());
  const int64_t think_end = sequence.think_end_step.value_or(count);
  for (int64_t step = 0; step < count; ++step) {
    const auto [begin, stop] = steps[static_cast<size_t>(step)];
    const int64_t counting = step + std::min(delta_, count - step);
    const int32_t from =
        counting < count
            ? first_row + static_cast<int32_t>(steps[static_cast<size_t>(counting)].first)
            : end;
    for (int64_t row = begin; row < stop; ++row) {
      // A query sees no key after itself, which matters for delta 0.
      first_query_.push_back(std::max(from, first_row + static_cast<int32_t>(row)));
      share_.push_back(1.0F / static_cast<float>(stop - begin));
    }
    constexpr int64_t kFirstScored = 2;  // after the prompt and the first response step
    if (step >= kFirstScored && step < think_end) {
      steps_.push_back({first_row + static_cast<int32_t>(begin), static_cast<int32_t>(stop - begin),
                        static_cast<int32_t>(scores_ + step)});
    }
  }
  for (int32_t key = first_row; key < end; key += kFciTile) {
    tiles_.push_back(
        {key, std::min(kFciTile, end - key), first_query_[static_cast<size_t>(key)], end});
  }
  scores_ += count;
}

}  // namespace attnrl::attention
