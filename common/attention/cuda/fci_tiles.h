// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "common/attention/fci/sequence.h"

namespace attnrl::attention {

// Keys that a block of threads adds up for, and queries that it meets at once.
inline constexpr int32_t kFciTile = 64;

// Keys [first_key, first_key + keys) of the pass, to which queries [first_query, end) may pay: from
// the first one that counts for any of them to the end of their sequence.
struct FciTile {
  int32_t first_key = 0;
  int32_t keys = 0;
  int32_t first_query = 0;
  int32_t end = 0;
};

// A step that is scored: its keys, rows of the pass, and its place among the scores.
struct FciStep {
  int32_t first_key = 0;
  int32_t keys = 0;
  int32_t score = 0;
};

// What all layers and heads of a pass share, made once on the host. Memory: 8 bytes a row. One
// thread.
class FciTiles {
 public:
  explicit FciTiles(const FciOptions& options) : delta_(options.delta) {}

  // The next sequence of the pass, one that was checked. Its scores follow those of the sequences
  // before it.
  void Add(const FciSequence& sequence);

  const std::vector<FciTile>& tiles() const { return tiles_; }
  // Of each row: the first row whose attention to it counts, and 1 / size of its step.
  const std::vector<int32_t>& first_query() const { return first_query_; }
  const std::vector<float>& share() const { return share_; }
  // Those whose score isn't 0 by definition.
  const std::vector<FciStep>& steps() const { return steps_; }
  int64_t scores() const { return scores_; }

 private:
  const int64_t delta_;
  std::vector<FciTile> tiles_;
  std::vector<int32_t> first_query_;
  std::vector<float> share_;
  std::vector<FciStep> steps_;
  int64_t scores_ = 0;
};

}  // namespace attnrl::attention
