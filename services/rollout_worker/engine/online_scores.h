// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/attention/paged/kernel.h"
#include "common/text/steps.h"
#include "services/rollout_worker/engine/request.h"
#include "services/rollout_worker/engine/score_sums.h"

namespace attnrl::rollout {

// FCI of one response (common/attention/fci/README.md, "Definition"), added up while it is decoded:
// each token of the response is one query, whose attention to the steps that it counts for the
// kernel adds up (attention::ScoredRow).
//
// Which tokens end a step is known only in the end: blank lines where there is one, else line ends,
// else every token. Until a blank line comes, steps end at line ends; when it comes, all before it
// is one step, and what was added up is forgotten, since nothing counts for the prompt and the
// first step. A response with neither has no scores here.
//
// Memory: 2 * layers * heads floats a step of the response, with room for twice the steps, where
// its ScoreSums are. What was added up stays when the sequence is computed anew. One thread.
class OnlineScores {
 public:
  struct Shape {
    int64_t prompt_tokens = 0;
    int64_t delta = 4;  // steps from here on count for a step; at least 1
    int64_t heads = 0;
  };
  // `sums`: empty ones, with a row for each layer and head.
  OnlineScores(std::shared_ptr<const text::StepSegmenter> segmenter, const Shape& shape,
               std::unique_ptr<ScoreSums> sums);

  // Position of the next token of the response that counts as a query.
  int64_t next() const { return next_; }
  // For the pass that computes it, at `row`. Valid until Add.
  attention::ScoredRow Row(int32_t row);
  // It was computed; its id.
  void Add(int32_t token);

  // The scores of the whole response, all of whose tokens were added; nullopt where it has no line
  // end.
  std::optional<StepScores> Finish(std::span<const int32_t> response);

 private:
  void EndStep();
  // Steps after the prompt and the first one that the current step counts for.
  int64_t Counted() const;

  const std::shared_ptr<const text::StepSegmenter> segmenter_;
  const Shape shape_;
  text::StepSegmenter::Separator strongest_ = text::StepSegmenter::Separator::kNone;
  int64_t next_ = 0;
  int64_t step_begin_ = 0;                 // of the current step
  std::vector<int32_t> ends_;              // of the response's steps that have ended
  const std::unique_ptr<ScoreSums> sums_;  // y, but for the division by the keys
};

}  // namespace attnrl::rollout
