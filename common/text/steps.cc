// SPDX-License-Identifier: Apache-2.0
#include "common/text/steps.h"

#include <algorithm>
#include <string_view>

namespace attnrl::text {

StepSegmenter::StepSegmenter(const Tokenizer& tokenizer)
    : separators_(static_cast<size_t>(tokenizer.size()), Separator::kNone),
      think_end_(tokenizer.AddedTokenId("</think>")) {
  for (int32_t id = 0; id < tokenizer.size(); ++id) {
    if (tokenizer.IsAdded(id)) continue;
    const std::string_view bytes = tokenizer.TokenBytes(id);
    if (bytes.find("\n\n") != std::string_view::npos) {
      separators_[static_cast<size_t>(id)] = Separator::kBlankLine;
    } else if (bytes.find('\n') != std::string_view::npos) {
      separators_[static_cast<size_t>(id)] = Separator::kLine;
    }
  }
}

StepSegmenter::Separator StepSegmenter::Classify(int32_t id) const {
  if (id < 0 || static_cast<size_t>(id) >= separators_.size()) return Separator::kNone;
  return separators_[static_cast<size_t>(id)];
}

std::vector<StepRange> StepSegmenter::Segment(int64_t prompt_tokens,
                                              std::span<const int32_t> response) const {
  Separator strongest = Separator::kNone;
  for (const int32_t id : response) strongest = std::max(strongest, Classify(id));

  std::vector<StepRange> steps = {{0, prompt_tokens}};
  for (size_t i = 0; i < response.size(); ++i) {
    // Without any separator `strongest` is kNone, and every token ends a step.
    const bool ends = Classify(response[i]) == strongest || i + 1 == response.size();
    if (ends) steps.emplace_back(steps.back().second, prompt_tokens + static_cast<int64_t>(i) + 1);
  }
  return steps;
}

std::optional<int64_t> StepSegmenter::ThinkEndStep(int64_t prompt_tokens,
                                                   std::span<const int32_t> response,
                                                   std::span<const StepRange> steps) const {
  if (!think_end_) return std::nullopt;
  const auto last = std::find(response.rbegin(), response.rend(), *think_end_);
  if (last == response.rend()) return std::nullopt;
  const int64_t position = prompt_tokens + (response.rend() - last) - 1;
  const auto holds = std::find_if(steps.begin(), steps.end(), [position](const StepRange& step) {
    return position >= step.first && position < step.second;
  });
  return holds - steps.begin();
}

}  // namespace attnrl::text
