// SPDX-License-Identifier: Apache-2.0
#include "common/tree/advantages.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <ranges>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace attnrl::tree {
namespace {

// Rewards of the leaves below a node. Sums of 0/1 rewards are exact, whatever their order.
struct Value {
  double sum = 0;
  int64_t leaves = 0;

  void Add(double reward) {
    sum += reward;
    ++leaves;
  }
  void Add(const Value& other) {
    sum += other.sum;
    leaves += other.leaves;
  }
  double Mean() const { return sum / static_cast<double>(leaves); }
};

absl::Status Check(const ProblemTree& problem) {
  for (size_t i = 0; i < problem.responses.size(); ++i) {
    const Response& response = problem.responses[i];
    const std::string where = absl::StrCat("responses[", i, "]");
    if (response.tokens < 1) return InputError(where + ".tokens", "is below 1", "1 or more");
    for (size_t b = 0; b < response.branches.size(); ++b) {
      const Branch& branch = response.branches[b];
      const std::string place = absl::StrCat(where, ".branches[", b, "]");
      if (branch.split < 0 || branch.split >= response.tokens) {
        return InputError(place + ".split", absl::StrCat(branch.split, " is outside the response"),
                          absl::StrCat("0 to ", response.tokens - 1));
      }
      if (branch.children.empty()) {
        return InputError(place + ".children", "is empty", "one or more continuations");
      }
      for (size_t c = 0; c < branch.children.size(); ++c) {
        if (branch.children[c].tokens < 1) {
          return InputError(absl::StrCat(place, ".children[", c, "].tokens"), "is below 1",
                            "1 or more");
        }
      }
    }
  }
  if (problem.max_response_length && *problem.max_response_length < 1) {
    return InputError("max_response_length", "is below 1", "1 or more");
  }
  return absl::OkStatus();
}

double Advantage(const Value& node, const Value& parent, const Value& root) {
  const double value = node.Mean();
  return ((value - root.Mean()) + (value - parent.Mean())) /
         std::sqrt(static_cast<double>(node.leaves));
}

// Drops empty segments and what lies beyond `limit` tokens.
void Tidy(std::optional<int64_t> limit, std::vector<Segment>* segments) {
  int64_t left = limit.value_or(INT64_MAX);
  for (Segment& segment : *segments) {
    segment.length = std::min(segment.length, left);
    left -= segment.length;
  }
  segments->erase(std::remove_if(segments->begin(), segments->end(),
                                 [](const Segment& segment) { return segment.length == 0; }),
                  segments->end());
}

bool SameRewards(const std::vector<Leaf>& leaves) {
  return std::all_of(leaves.begin(), leaves.end(),
                     [&](const Leaf& leaf) { return leaf.reward == leaves.front().reward; });
}

// The chain of one expanded response: its distinct splits, and what lies below each segment.
class Chain {
 public:
  explicit Chain(const Response& response) : response_(response) {
    for (const Branch& branch : response.branches) {
      for (const Child& child : branch.children)
        continuations_[branch.split].Add(child.reward - child.penalty);
    }
    // Segment k ends at the k-th split; below it are the segments behind it, and the continuations
    // from its end on.
    Value below;
    below.Add(response.reward - response.penalty);
    values_.push_back(below);
    for (const auto& [split, leaves] : std::views::reverse(continuations_)) {
      splits_.push_back(split);
      below.Add(leaves);
      values_.push_back(below);
    }
    std::reverse(splits_.begin(), splits_.end());
    std::reverse(values_.begin(), values_.end());
  }

  // Everything below the first segment: all leaves of the response.
  const Value& All() const { return values_.front(); }

  // The segments that end at `end`: a split, or the response's length for the original leaf.
  std::vector<Segment> Prefix(int64_t end, const Value& root) const {
    std::vector<Segment> segments;
    const Value* parent = &root;
    int64_t begin = 0;
    for (size_t k = 0; k < values_.size() && begin < end; ++k) {
      const int64_t stop = k < splits_.size() ? splits_[k] : response_.tokens;
      segments.push_back({stop - begin, Advantage(values_[k], *parent, root)});
      parent = &values_[k];
      begin = stop;
    }
    return segments;
  }

  // The node that the continuations from `split` on hang on.
  const Value& ParentAt(int64_t split) const {
    const auto at = std::lower_bound(splits_.begin(), splits_.end(), split);
    return values_[static_cast<size_t>(at - splits_.begin())];
  }

 private:
  const Response& response_;
  std::map<int64_t, Value> continuations_;  // by split, all branches with that split together
  std::vector<int64_t> splits_;             // ascending
  std::vector<Value> values_;               // of the splits_.size() + 1 segments
};

void AppendLeaves(const Response& response, int64_t index, const Chain& chain, const Value& root,
                  std::vector<Leaf>* leaves) {
  leaves->push_back(
      {index, std::nullopt, std::nullopt, response.reward, chain.Prefix(response.tokens, root)});
  for (size_t b = 0; b < response.branches.size(); ++b) {
    const Branch& branch = response.branches[b];
    for (size_t c = 0; c < branch.children.size(); ++c) {
      const Child& child = branch.children[c];
      std::vector<Segment> segments = chain.Prefix(branch.split, root);
      Value leaf;
      leaf.Add(child.reward - child.penalty);
      segments.push_back({child.tokens, Advantage(leaf, chain.ParentAt(branch.split), root)});
      leaves->push_back({index, static_cast<int64_t>(b), static_cast<int64_t>(c), child.reward,
                         std::move(segments)});
    }
  }
}

}  // namespace

absl::StatusOr<TreeAdvantages> ComputeTreeAdvantages(const ProblemTree& problem,
                                                     bool train_unexpanded) {
  ATTNRL_RETURN_IF_ERROR(Check(problem));
  std::vector<Chain> chains;
  Value root;
  for (const Response& response : problem.responses) {
    chains.emplace_back(response);
    root.Add(chains.back().All());
  }
  TreeAdvantages out;
  for (size_t i = 0; i < problem.responses.size(); ++i) {
    if (problem.responses[i].branches.empty() && !train_unexpanded) continue;
    AppendLeaves(problem.responses[i], static_cast<int64_t>(i), chains[i], root, &out.leaves);
  }
  out.dropped = SameRewards(out.leaves);
  for (Leaf& leaf : out.leaves) Tidy(problem.max_response_length, &leaf.segments);
  return out;
}

absl::StatusOr<TreeAdvantages> ComputeGroupAdvantages(const ProblemTree& problem, bool divide) {
  ATTNRL_RETURN_IF_ERROR(Check(problem));
  Value group;
  for (const Response& response : problem.responses) {
    if (!response.branches.empty()) {
      return InputError("responses", "have branches",
                        "group advantages need responses without branches");
    }
    group.Add(response.reward - response.penalty);
  }
  double squares = 0;
  for (const Response& response : problem.responses) {
    const double difference = response.reward - response.penalty - group.Mean();
    squares += difference * difference;
  }
  const double deviation =
      group.leaves > 1 ? std::sqrt(squares / static_cast<double>(group.leaves - 1)) : 0;
  TreeAdvantages out;
  for (size_t i = 0; i < problem.responses.size(); ++i) {
    const Response& response = problem.responses[i];
    const double difference = response.reward - response.penalty - group.Mean();
    const double advantage = divide ? difference / (deviation + 1e-6) : difference;
    out.leaves.push_back({static_cast<int64_t>(i),
                          std::nullopt,
                          std::nullopt,
                          response.reward,
                          {{response.tokens, advantage}}});
  }
  out.dropped = SameRewards(out.leaves);
  for (Leaf& leaf : out.leaves) Tidy(problem.max_response_length, &leaf.segments);
  return out;
}

double OverlongPenalty(int64_t tokens, int64_t longest, int64_t buffer) {
  const double over = static_cast<double>(tokens - (longest - buffer));
  return std::clamp(over / static_cast<double>(buffer), 0.0, 1.0);
}

}  // namespace attnrl::tree
