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

OnlineScores::OnlineScores(std::shared_ptr<const text::StepSegmenter> segmenter, const Shape& shape)
    : segmenter_(std::move(segmenter)),
      shape_(shape),
      next_(shape.prompt_tokens),
      step_begin_(shape.prompt_tokens) {}

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
  if (scored.steps > stride_) Grow();
  // The scratch is one layer's sums for each segment of keys that the row sees.
  const int64_t segments = next_ / attention::kSegmentTokens + 1;
  scratch_.resize(
      std::max(scratch_.size(), static_cast<size_t>(segments * shape_.heads * stride_)));
  scored.first_key = ends_[0];
  scored.ends = ends_.data() + 1;
  scored.sums = current_.data();
  scored.scratch = scratch_.data();
  scored.stride = stride_;
  return scored;
}

void OnlineScores::Grow() {
  const int64_t wider = std::max(kFirstStride, 2 * stride_);
  const auto widen = [&](std::vector<float>& values, int64_t rows) {
    std::vector<float> grown(static_cast<size_t>(rows * wider), 0);
    for (int64_t row = 0; row < rows; ++row) {
      std::copy_n(values.begin() + row * stride_, stride_, grown.begin() + row * wider);
    }
    values = std::move(grown);
  };
  widen(current_, shape_.layers * shape_.heads);
  widen(total_, shape_.layers * shape_.heads);
  stride_ = wider;
}

void OnlineScores::Add(int32_t token) {
  ++next_;
  const Separator separator = segmenter_->Classify(token);
  if (separator > strongest_) {
    // All before it is one step.
    strongest_ = separator;
    step_begin_ = shape_.prompt_tokens;
    ends_.clear();
    std::fill(current_.begin(), current_.end(), 0);
    std::fill(total_.begin(), total_.end(), 0);
  }
  if (separator != Separator::kNone && separator == strongest_) EndStep();
}

void OnlineScores::EndStep() {
  const int64_t counted = Counted();
  const auto queries = static_cast<float>(next_ - step_begin_);
  if (counted > 0) {
    for (int64_t row = 0; row < shape_.layers * shape_.heads; ++row) {
      float* const current = current_.data() + row * stride_;
      float* const total = total_.data() + row * stride_;
      for (int64_t step = 0; step < counted; ++step) {
        total[step] += std::exchange(current[step], 0) / queries;
      }
    }
  }
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
  // Beyond stride_ no step was counted for.
  for (int64_t step = 2; step < std::min(last, stride_ + 2); ++step) {
    float most = 0;
    for (int64_t row = 0; row < shape_.layers * shape_.heads; ++row) {
      most = std::max(most, total_[static_cast<size_t>(row * stride_ + step - 2)]);
    }
    const auto& [begin, end] = steps[static_cast<size_t>(step)];
    scores.fci[static_cast<size_t>(step)] = most / static_cast<float>(end - begin);
  }
  return scores;
}

}  // namespace attnrl::rollout
