// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/step_range.h"
#include "common/text/tokenizer.h"

namespace attnrl::text {

// Cuts sequences into steps (common/text/README.md, "Steps"): range 0 is the whole prompt.
// kParagraph cuts the response after every token whose own text has two newlines in a row; if it
// has no such token, after every token with a newline; if none either, after every token. kLine
// cuts after every token with a newline, kSentence also where a sentence ends. Added tokens never
// separate. Immutable and thread-safe; two bytes a token of the vocabulary at most.
class StepSegmenter {
 public:
  explicit StepSegmenter(const Tokenizer& tokenizer, StepCut cut = StepCut::kParagraph);

  // `prompt_tokens` >= 0; ids outside the vocabulary separate nothing. At least two ranges for a
  // response that is not empty; the prompt alone for an empty one.
  std::vector<StepRange> Segment(int64_t prompt_tokens, std::span<const int32_t> response) const;

  // Index (into Segment's result) of the step that holds the response's last </think>; nullopt
  // where there is none, or where the tokenizer has no such added token.
  std::optional<int64_t> ThinkEndStep(int64_t prompt_tokens, std::span<const int32_t> response,
                                      std::span<const StepRange> steps) const;

  // What a token separates by itself. Of the separators in a response the strongest kind ends
  // steps; ends of sentences, which depend on the next token, come on top. Only kParagraph tells
  // blank lines from others.
  enum class Separator : uint8_t { kNone, kLine, kBlankLine };
  Separator Classify(int32_t id) const;

 private:
  // How a token takes part in the end of a sentence.
  struct Sentence {
    bool ends = false;         // whatever comes next
    bool may_end = false;      // where a space comes next, or nothing
    bool opens_space = false;  // begins with white space
  };
  static Sentence SentenceOf(std::string_view bytes);
  bool EndsSentence(std::span<const int32_t> response, size_t i) const;

  const StepCut cut_;
  std::vector<Separator> separators_;  // by token id
  std::vector<Sentence> sentences_;    // by token id; empty unless kSentence
  std::optional<int32_t> think_end_;
};

}  // namespace attnrl::text
