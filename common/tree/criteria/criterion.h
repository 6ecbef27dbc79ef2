// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "common/base/philox.h"
#include "common/base/step_range.h"
#include "common/base/words.h"

// Where an expanded response is regenerated from: what every branching criterion is given and
// returns, and the table of all of them. One file a criterion or choice (points.h declares their
// functions); README.md says how to add one.
namespace attnrl::tree {

// How a point came about, as trees/ records it: the first three belong to the walk over scored
// steps, every other choice writes kChosen.
enum class PointOrigin { kThreshold, kFill, kDuplicate, kChosen };
inline std::vector<Word<PointOrigin>> WordsOf(PointOrigin) {
  return {{"threshold", PointOrigin::kThreshold},
          {"fill", PointOrigin::kFill},
          {"duplicate", PointOrigin::kDuplicate},
          {"chosen", PointOrigin::kChosen}};
}

struct BranchPoint {
  int64_t split = 0;  // token index within the response; regenerated from there on
  PointOrigin origin = PointOrigin::kChosen;

  bool operator==(const BranchPoint& other) const = default;
};

enum class Criterion { kNone, kFci, kEntropy, kRandom, kFixedLength, kEarliest };
enum class Choice { kPositional, kTop };  // of criterion fci

struct PointOptions {
  int64_t count = 2;           // points of a response (N); nothing is chosen below 1
  double quantile = 0.8;       // in [0, 1]: the share of steps whose scores lie below the threshold
  int64_t min_distance = 512;  // tokens
  Choice choice = Choice::kPositional;
  bool spaced = false;  // `top` keeps min_distance too
  bool fill = true;     // `positional` fills up where fewer than `count` steps qualify
};

// What a criterion may look at: one expanded response. Unused parts may be empty.
struct ScoredResponse {
  std::span<const StepRange> steps = {};  // the prompt first
  std::span<const float> fci = {};        // one a step, the prompt's included
  std::span<const float> entropy = {};    // nats, one a response token
  RandomKey key = {};                     // purpose kBranch, node = the response
};

// Pure, from any thread. Points in ascending order of `split`; without any the response is not
// expanded.
using PointFunction = std::vector<BranchPoint> (*)(const ScoredResponse&, const PointOptions&);

struct CriterionEntry {
  std::string_view word;  // in the configuration
  Criterion criterion;
  bool reads_fci;  // workers must score the attention
  PointFunction points;
};
struct ChoiceEntry {
  std::string_view word;
  Choice choice;
  PointFunction points;
};

// Every criterion and choice, in the order that people see.
std::span<const CriterionEntry> Criteria();
std::span<const ChoiceEntry> Choices();

std::vector<Word<Criterion>> WordsOf(Criterion);
std::vector<Word<Choice>> WordsOf(Choice);

bool ReadsFci(Criterion criterion);
std::vector<BranchPoint> ChoosePoints(Criterion criterion, const ScoredResponse& response,
                                      const PointOptions& options);

}  // namespace attnrl::tree
