// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/advice/advice.h"

#include <algorithm>

namespace attnrl::tools {

Split Predict(const Measured& measured, int64_t workers, int64_t ranks) {
  const auto ratio = [](int64_t now, int64_t then) {
    return static_cast<double>(now) / static_cast<double>(then);
  };
  Split split{.workers = workers, .ranks = ranks};
  split.sampling = std::max(measured.sampling * ratio(measured.workers, workers),
                            std::min(measured.longest, measured.sampling));
  const double rest = std::max(0.0, measured.step - measured.wait - measured.train);
  split.learning = measured.train * ratio(measured.ranks, ranks) + rest;
  split.step = measured.mode == pipeline::PipelineMode::kOverlapped
                   ? std::max(split.sampling, split.learning)
                   : split.sampling + split.learning;
  return split;
}

std::vector<Split> Neighbours(const Measured& measured) {
  std::vector<Split> splits;
  for (int64_t workers = measured.workers - 1; workers <= measured.workers + 1; ++workers) {
    for (int64_t ranks = measured.ranks - 1; ranks <= measured.ranks + 1; ++ranks) {
      const int64_t devices = workers + ranks - measured.workers - measured.ranks;
      if (workers < 1 || ranks < 1 || devices < -1 || devices > 1) continue;
      splits.push_back(Predict(measured, workers, ranks));
    }
  }
  return splits;
}

Split Best(const Measured& measured) {
  Split best = Predict(measured, measured.workers, measured.ranks);
  const int64_t devices = measured.workers + measured.ranks;
  for (int64_t workers = 1; workers < devices; ++workers) {
    const Split split = Predict(measured, workers, devices - workers);
    if (split.step < best.step) best = split;
  }
  return best;
}

}  // namespace attnrl::tools
