// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "common/attention/paged/kernel.h"
#include "common/attention/paged/plan.h"
#include "common/base/philox.h"
#include "services/rollout_worker/sampling/sampler.h"

namespace attnrl::rollout {

// A row after which a token is drawn.
struct SampledRow {
  int32_t row = 0;
  SamplingParams params = {};
  RandomKey key = {};
  uint32_t index = 0;  // of the token in its response
};

// What one forward pass computes, as plain data: the whole seam between the engine and the runner.
// All rows are of one version. Siblings stand side by side. The pieces of the groups are the
// engine's and stay until the pass is done.
struct StepPlan {
  std::vector<int32_t> ids;  // tokens of all groups, one after another
  std::vector<attention::RowGroup> groups;
  std::vector<SampledRow> samples;  // by ascending row
  // Rows whose attention to earlier steps is added up, by ascending row.
  std::vector<attention::ScoredRow> scored;

  bool empty() const { return ids.empty(); }
  int64_t rows() const { return static_cast<int64_t>(ids.size()); }
  void Clear() {
    ids.clear();
    groups.clear();
    samples.clear();
    scored.clear();
  }
};

}  // namespace attnrl::rollout
