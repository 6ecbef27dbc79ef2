// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/base/philox.h"
#include "common/base/words.h"

namespace attnrl::tree {

// Adaptive sampling (common/tree/README.md, "Adaptive sampling"): which responses are worth
// expanding, which solved problems are worth keeping, and how many problems the next batch needs.
// Pure functions.

enum class ExpandRounding { kCeil, kNearest };  // the published code; the paper
inline std::vector<Word<ExpandRounding>> WordsOf(ExpandRounding) {
  return {{"ceil", ExpandRounding::kCeil}, {"nearest", ExpandRounding::kNearest}};
}

// Which responses of a problem are expanded.
enum class Expand { kDifficulty, kMinority, kAll };
inline std::vector<Word<Expand>> WordsOf(Expand) {
  return {
      {"difficulty", Expand::kDifficulty}, {"minority", Expand::kMinority}, {"all", Expand::kAll}};
}

// exp(-accuracy) * responses, rounded; between 1 and `responses` (> 0). accuracy in [0, 1].
int64_t ExpansionCount(double accuracy, int64_t responses, ExpandRounding rounding);

// The responses to expand, ascending. `correct`: one a response, not empty. kAll: all. Otherwise,
// none solved: all; all solved: the first ExpansionCount (the filter decides whether the problem is
// kept at all); else all of the rarer kind (half and half: the incorrect ones) and, with
// kDifficulty, up to ExpansionCount some of the other kind, drawn without replacement from `key`.
std::vector<int64_t> ResponsesToExpand(const std::vector<bool>& correct, Expand expand,
                                       ExpandRounding rounding, const RandomKey& key);

// A problem's attention score m: the mean over its responses of the mean of their steps' scores.
// The lists are FCI scores a step, the prompt (step 0) first: it does not count, zeroed steps do.
// At least one response, each of at least one response step.
double AttentionMean(std::span<const std::vector<float>> fci);

// Mean over all solved problems of a run, as the attention filter compares with: a sum in the order
// of batches and positions, so that the bits don't depend on when results came.
struct RunningMean {
  double sum = 0;
  int64_t count = 0;

  void Add(double value) {
    sum += value;
    ++count;
  }
  double mean() const { return count == 0 ? 0 : sum / static_cast<double>(count); }
  bool operator==(const RunningMean&) const = default;
};

// The attention filter keeps a solved problem whose score exceeds the mean over all solved ones of
// the run, its own batch included in that.
inline bool KeepSolved(double score, const RunningMean& mean) { return score > mean.mean(); }

struct BatchSizing {
  int64_t first = 64;  // B0
  int64_t min = 1;
  int64_t max = 1024;
  int64_t target = 0;  // samples wanted: B0 n (1 + N T)
};

// b_real of the next batch: 0.9 of the last one and 0.1 of the size that the known batch j would
// have needed for `target` samples. `problems` and `valid` are B(j) and v(j); valid 0 counts as 1.
double NextBatchReal(double last_real, int64_t problems, int64_t valid, const BatchSizing& sizing);

// B(b): b_real rounded up, within min and max.
int64_t BatchProblems(double real, const BatchSizing& sizing);

}  // namespace attnrl::tree
