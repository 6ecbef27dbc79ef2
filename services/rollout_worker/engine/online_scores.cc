// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/engine/online_scores.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace attnrl::rollout {
namespace {

using Separator = text::StepSegmenter::Separator;

constexpr int64_t kFirstStride = 32;

}  // namespace

OnlineScores::OnlineScores(std::shared_ptr<const text::StepSegmenter> segmenter, const Shape& shape,
                           std::unique_ptr<ScoreSums> sums)
    : segmenter_(std::move(segmenter)),
      shape_(shape),
      next_(shape.prompt_tokens),
      step_begin_(shape.prompt_tokens),
      sums_(std::move(sums)) {}

// Step 0 is the prompt, step 1 the response's first one; ends_[0] is the end of step 1, so the
// current step has index ends_.size() + 1. It counts for steps up to that less delta.
int64_t OnlineScores::Counted() const {
  const auto current = static_cast<int64_t>(ends_.size()) + 1;
  return std::max<int64_t>(0, current - shape_.delta - 1);
}

attention::ScoredRow OnlineScores::Row(int32_t row) {
  attention::ScoredRow scored;
  scored.row = row;
  scored.steps = static_cast<int32_t>(Counted());
  if (scored.steps == 0) return scored;
  if (scored.steps > sums_->stride()) {
    sums_->Widen(std::max({kFirstStride, 2 * sums_->stride(), int64_t{scored.steps}}));
  }
  // The scratch is one layer's sums for each segment of keys that the row sees.
  const int64_t segments = next_ / attention::kSegmentTokens + 1;
  scored.first_key = ends_[0];
  scored.ends = ends_.data() + 1;
  scored.sums = sums_->current();
  scored.scratch = sums_->Scratch(segments * shape_.heads * sums_->stride());
  scored.stride = sums_->stride();
  return scored;
}

void OnlineScores::Add(int32_t token) {
  ++next_;
  const Separator separator = segmenter_->Classify(token);
  if (separator > strongest_) {
    // All before it is one step.
    strongest_ = separator;
    step_begin_ = shape_.prompt_tokens;
    ends_.clear();
    sums_->Clear();
  }
  if (separator != Separator::kNone && separator == strongest_) EndStep();
}

void OnlineScores::EndStep() {
  const int64_t counted = Counted();
  if (counted > 0) sums_->EndStep(counted, next_ - step_begin_);
  ends_.push_back(static_cast<int32_t>(next_));
  step_begin_ = next_;
}

std::optional<StepScores> OnlineScores::Finish(std::span<const int32_t> response) {
  if (strongest_ == Separator::kNone) return std::nullopt;
  if (step_begin_ < next_) EndStep();
  const std::vector<StepRange> steps = segmenter_->Segment(shape_.prompt_tokens, response);
  const auto think_end = segmenter_->ThinkEndStep(shape_.prompt_tokens, response, steps);
  const auto last = std::min(static_cast<int64_t>(steps.size()),
                             think_end.value_or(static_cast<int64_t>(steps.size())));
  StepScores scores;
  for (const StepRange& step : steps) scores.ends.push_back(static_cast<uint32_t>(step.second));
  scores.fci.assign(steps.size(), 0);
  constexpr int64_t kFirstScored = 2;  // after the prompt and the first response step
  // Beyond these columns no step was counted for.
  const std::vector<float> most =
      sums_->Largest(std::clamp(last - kFirstScored, int64_t{0}, sums_->stride()));
  for (size_t i = 0; i < most.size(); ++i) {
    const auto& [begin, end] = steps[i + kFirstScored];
    scores.fci[i + kFirstScored] = most[i] / static_cast<float>(end - begin);
  }
  return scores;
}

}  // namespace attnrl::rollout
