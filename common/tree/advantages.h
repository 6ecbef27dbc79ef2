// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace attnrl::tree {

// A continuation: only its new tokens.
struct Child {
  int64_t tokens = 0;
  double reward = 0;
  double penalty = 0;  // taken off the reward in advantages; the drop rule ignores it
};

// Continuations that regenerate a response from token `split` on (an index into the response).
struct Branch {
  int64_t split = 0;
  std::vector<Child> children;
};

// An initial response; one with branches is expanded.
struct Response {
  int64_t tokens = 0;
  double reward = 0;
  std::vector<Branch> branches;  // in any order; equal splits share one node of the tree
  double penalty = 0;            // as that of a Child
};

struct ProblemTree {
  std::vector<Response> responses;
  std::optional<int64_t> max_response_length;  // cuts leaves to this many tokens
};

// `length` tokens of a leaf in a row that share one advantage.
struct Segment {
  int64_t length = 0;
  double advantage = 0;
};

// One training sample: a response (no branch, no child) or a continuation behind its prefix.
struct Leaf {
  int64_t response = 0;           // indices into ProblemTree
  std::optional<int64_t> branch;  // both or neither
  std::optional<int64_t> child;
  double reward = 0;
  std::vector<Segment> segments;  // from the first token of the response on; no empty ones
};

struct TreeAdvantages {
  // True where the samples all have the same reward, or where there is none: the problem teaches
  // nothing. The leaves are listed all the same.
  bool dropped = true;
  std::vector<Leaf> leaves;  // by response: the response itself, then branch by branch
};

// Advantages of process supervision (common/tree/README.md, "Trees and advantages"), float64: with
// V the mean reward of the leaves below a node, A(segment) = (V - V(root) + V - V(parent)) /
// sqrt(leaves below). Leaves of expanded responses are samples; unexpanded responses count in
// V(root) only, or with `train_unexpanded` are samples of one segment below the root. Depends on
// nothing but its argument. InputError where a split is outside its response, a branch has no
// child, or something has no tokens.
absl::StatusOr<TreeAdvantages> ComputeTreeAdvantages(const ProblemTree& problem,
                                                     bool train_unexpanded = false);

// Group-normalised outcome rewards (GRPO as verl computes it): each initial response is one sample
// of one segment, A = (reward - mean) / (std + 1e-6) with the sample standard deviation (n - 1), or
// with `divide` off A = reward - mean (Dr. GRPO). Branches must be empty. A lone response has
// advantage 0 and is dropped.
absl::StatusOr<TreeAdvantages> ComputeGroupAdvantages(const ProblemTree& problem,
                                                      bool divide = true);

// DAPO's soft punishment of overlong responses (arXiv 2503.14476), >= 0: of a response of `tokens`
// tokens, 0 up to `longest` - `buffer`, from there on linear up to 1 at `longest`.
double OverlongPenalty(int64_t tokens, int64_t longest, int64_t buffer);

}  // namespace attnrl::tree
