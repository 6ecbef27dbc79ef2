// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace attnrl::tools {

// What the page needs of the run's tokenizer.
struct TreeText {
  // Ids to UTF-8, special tokens kept.
  std::function<std::string(const std::vector<int32_t>&)> decode;
  // Step ranges of a sequence, the prompt first (text::StepSegmenter::Segment), for responses whose
  // record has none, and for continuations.
  std::function<std::vector<std::pair<int64_t, int64_t>>(int64_t prompt_tokens,
                                                         std::span<const int32_t> response)>
      steps;
};

// A step's text, or a part of it where a branch point lies within the step.
struct TreePiece {
  int64_t step =
      0;  // as in the record's `steps`: 1 is the response's first; a continuation's: its own
  int64_t begin = 0;  // tokens [begin, end) of the whole response, a continuation's prefix counted
  int64_t end = 0;
  std::string text;               // UTF-8
  std::optional<double> fci;      // of the step
  std::optional<double> entropy;  // mean over the piece's tokens, nats
  std::optional<double> logprob;  // mean over the piece's tokens, nats
};

// A response, or a continuation: only its new tokens.
struct TreeLeaf {
  int64_t begin = 0;  // where its own tokens start in the response: 0, or the split
  int64_t tokens = 0;
  std::vector<TreePiece> pieces;
  std::string finish_reason, worker, digest, verdict;  // empty: not recorded
  std::optional<std::string> extracted;
  std::string explanation;  // why it is wrong (explanations.h); empty: not known
  std::optional<int64_t> version;
  std::optional<double> reward;
  // Lengths and advantages from the first token of the response on; empty: not trained.
  std::vector<std::pair<int64_t, double>> segments;

  bool correct() const { return reward.value_or(0) > 0; }
  // The mark of its outcome: "right", "wrong", or "ungraded".
  const char* mark() const { return !reward ? "ungraded" : correct() ? "right" : "wrong"; }
};

struct TreeBranch {
  int64_t split = 0;
  std::string origin;  // "threshold", "fill", ...; empty: not recorded
  std::vector<TreeLeaf> continuations;
};

struct TreeResponse {
  TreeLeaf leaf;
  bool expanded = false;
  std::vector<TreeBranch> branches;  // by ascending split
};

enum class TreeScore { kNone, kEntropy, kFci };  // what the steps are shaded by

// One problem of trees/batch-N.jsonl.zst.
struct TreeProblem {
  int64_t batch = 0;
  int64_t position = 0;
  std::string id;
  std::string kept;
  std::string prompt;
  int64_t prompt_tokens = 0;
  std::vector<TreeResponse> responses;

  TreeScore score = TreeScore::kNone;
  double max_score = 0;      // over all pieces, of `score`
  double max_advantage = 0;  // of the absolute values
  bool any_expanded = false;
};

// Reads a record (services/branch_scheduler/records/README.md, "trees/batch-N.jsonl.zst"). Every
// field but the token ids may be null or missing. InputError, naming the place in the record, where
// one has another type, where steps don't cover the response, or a point lies outside of it.
absl::StatusOr<TreeProblem> ReadTreeProblem(const nlohmann::json& record, const TreeText& text);

// The score that shades a piece; nullopt where there is none.
std::optional<double> ScoreOf(const TreePiece& piece, TreeScore score);

// The advantage of token `token` of the leaf's response; nullopt where it isn't trained.
std::optional<double> AdvantageAt(const TreeLeaf& leaf, int64_t token);

}  // namespace attnrl::tools
