// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/step_range.h"
#include "common/base/version.h"
#include "common/pipeline/schedule.h"
#include "services/branch_scheduler/types.h"
#include "services/verifier/types.h"

// What the scheduler knows of a batch that is not trained yet. Plain data; Run owns and changes it.
namespace attnrl::scheduler {

// The verifier's word about one leaf.
struct Grade {
  verifier::GradeStatus status = verifier::GradeStatus::kCrash;
  bool correct = false;
  std::string extracted = {};
  int32_t matched = -1;  // index in the problem's answers; -1 = none

  double reward() const { return correct ? 1.0 : 0.0; }
  bool operator==(const Grade&) const = default;
};

// One item's durable result, and its grades once they are durable too.
struct SampledItem {
  std::string worker = {};
  ItemResult result = {};
  std::vector<Grade> grades = {};  // one a sample, in order; empty while ungraded
  Span grading = {};

  bool graded() const { return !grades.empty(); }
};

// Where a response branches.
struct Expansion {
  std::vector<StepRange> steps = {};  // prompt first, over prompt + response
  // Token indices in the response, ascending; empty: not expanded. Equal ones may occur.
  std::vector<uint32_t> points = {};
  std::vector<std::string> origins =
      {};  // parallel to points, words of common/tree/README.md, "Branch points"
};

// An initial response and its continuations.
struct Response {
  std::optional<SampledItem> initial = {};
  Expansion expansion = {};                      // known once the problem is decided
  std::optional<SampledItem> continuation = {};  // sample p * T + c: child c at point p
};

struct Problem {
  uint32_t position = 0;
  uint64_t row = 0;  // in the data set
  std::vector<Response> responses = {};
  // All initial responses are graded.
  bool graded = false;
  // The mean attention score of a problem that all its responses solve (common/tree/README.md,
  // "Adaptive sampling", the m of the attention filter); where attention is scored.
  std::optional<double> solved_score = {};
  // The expansions are known.
  bool decided = false;
  // Some leaf could not be graded: the problem is dropped (tests/README.md, promise 7).
  bool ungradable = false;
  // One of its items was parked, since this process started (Run::Park); it is ungradable too.
  bool parked = false;
  // Solved by all its responses and left out before branching (adaptive sampling).
  bool filtered = false;
  // Nothing more is sampled or graded for it.
  bool done = false;
};

struct BatchState {
  uint32_t number = 0;
  uint32_t base = 0;    // e of its segment
  uint64_t cursor = 0;  // place of its first problem in the sequence of its data set's problems
  std::vector<Problem> problems = {};
  // Of the rule for an adaptive size (common/tree/README.md, "Adaptive sampling", b_real); B0 where
  // the size is fixed.
  double real_size = 0;
  uint32_t max_response_tokens = 8192;
  uint32_t initial_done = 0;     // initial items with a durable result
  uint32_t problems_graded = 0;  // all of their initial responses
  uint32_t problems_done = 0;
  bool delivered = false;  // handed to the learner since the start

  pipeline::Place place() const { return {.base = base, .batch = number}; }
  uint32_t initial_total() const {
    uint32_t total = 0;
    for (const Problem& problem : problems) {
      total += static_cast<uint32_t>(problem.responses.size());
    }
    return total;
  }
  bool graded() const { return problems_graded == problems.size(); }
  bool ready() const { return problems_done == problems.size(); }
};

// How tokens are read; made from the model's tokenizer (assemble.h), simple functions in tests.
struct TextTools {
  // Special tokens are kept, invalid UTF-8 replaced.
  std::function<std::string(const std::vector<int32_t>& ids)> decode;
  // Steps over prompt + response, the prompt first (common/text/README.md, "Steps").
  std::function<std::vector<StepRange>(uint32_t prompt_tokens,
                                       const std::vector<int32_t>& response)>
      steps;
};

}  // namespace attnrl::scheduler
