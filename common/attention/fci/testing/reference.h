// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "common/attention/fci/sequence.h"

namespace attnrl::attention {

// One layer of one sequence: q [rows, heads, head_dim], k and v [rows, kv_heads, head_dim].
struct FciLayer {
  int64_t heads = 1;
  int64_t kv_heads = 1;
  int64_t head_dim = 1;
  std::vector<float> q = {};
  std::vector<float> k = {};
  std::vector<float> v = {};
};

struct FciLayerResult {
  std::vector<double> rows;    // [rows, heads, head_dim]
  std::vector<double> scores;  // one a step: the maximum over this layer's heads
};

// FCI of one layer as common/attention/fci/README.md ("Definition") writes it down, in float64 with
// the whole matrix of probabilities: slow and obvious, for tests.
FciLayerResult FciReference(const FciLayer& layer, const FciSequence& sequence,
                            const FciOptions& options);

}  // namespace attnrl::attention
