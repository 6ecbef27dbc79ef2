// SPDX-License-Identifier: Apache-2.0
#include "common/text/steps.h"

#include <algorithm>
#include <string_view>

namespace attnrl::text {
namespace {

constexpr std::string_view kSpaces = " \t\r\n";

}  // namespace

StepSegmenter::StepSegmenter(const Tokenizer& tokenizer, StepCut cut)
    : cut_(cut),
      separators_(static_cast<size_t>(tokenizer.size()), Separator::kNone),
      think_end_(tokenizer.AddedTokenId("</think>")) {
  if (cut == StepCut::kSentence) sentences_.resize(separators_.size());
  for (int32_t id = 0; id < tokenizer.size(); ++id) {
    if (tokenizer.IsAdded(id)) continue;
    const std::string_view bytes = tokenizer.TokenBytes(id);
    if (cut == StepCut::kSentence) sentences_[static_cast<size_t>(id)] = SentenceOf(bytes);
    if (cut == StepCut::kParagraph && bytes.find("\n\n") != std::string_view::npos) {
      separators_[static_cast<size_t>(id)] = Separator::kBlankLine;
    } else if (bytes.find('\n') != std::string_view::npos) {
      separators_[static_cast<size_t>(id)] = Separator::kLine;
    }
  }
}

// "4." and "so.)" may end a sentence, "4. " does; "。" does without a space.
StepSegmenter::Sentence StepSegmenter::SentenceOf(std::string_view bytes) {
  Sentence sentence;
  sentence.opens_space = kSpaces.find(bytes.empty() ? 'x' : bytes.front()) != kSpaces.npos;
  const size_t text = bytes.find_last_not_of(kSpaces);
  if (text == bytes.npos) return sentence;
  const bool spaced = text + 1 < bytes.size();
  const size_t stop = bytes.substr(0, text + 1).find_last_not_of("\"')]}*");
  if (stop == bytes.npos) return sentence;
  const std::string_view body = bytes.substr(0, stop + 1);
  if (body.ends_with("。") || body.ends_with("！") || body.ends_with("？")) sentence.ends = true;
  if (std::string_view(".!?").find(body.back()) != std::string_view::npos) {
    (spaced ? sentence.ends : sentence.may_end) = true;
  }
  return sentence;
}

bool StepSegmenter::EndsSentence(std::span<const int32_t> response, size_t i) const {
  const auto of = [&](int32_t id) {
    const bool known = id >= 0 && static_cast<size_t>(id) < sentences_.size();
    return known ? sentences_[static_cast<size_t>(id)] : Sentence{};
  };
  const Sentence here = of(response[i]);
  if (i + 1 == response.size()) return true;
  // The end of the line that follows is part of the sentence's step.
  if (Classify(response[i + 1]) != Separator::kNone) return false;
  return here.ends || (here.may_end && of(response[i + 1]).opens_space);
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
    // Without any separator `strongest` is kNone, and every token ends a step of kParagraph.
    bool ends = Classify(response[i]) == strongest || i + 1 == response.size();
    if (cut_ != StepCut::kParagraph) {
      ends = Classify(response[i]) != Separator::kNone || i + 1 == response.size() ||
             (cut_ == StepCut::kSentence && EndsSentence(response, i));
    }
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
