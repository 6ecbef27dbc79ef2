// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/text/tokenizer.h"

namespace attnrl::tools {

// Ends a response at a text that may lie across tokens. Immutable; any thread.
class StopText {
 public:
  // An empty text never ends anything.
  StopText(text::Tokenizer tokenizer, std::string stop)
      : tokenizer_(std::move(tokenizer)), stop_(std::move(stop)) {}

  // True when the last token completes the stop text. Looks at the end only, so it is cheap to ask
  // after each token.
  bool Completes(const std::vector<int32_t>& tokens) const;
  // `text` up to the first stop text, which is left out.
  std::string Cut(std::string text) const;
  bool empty() const { return stop_.empty(); }

 private:
  const text::Tokenizer tokenizer_;
  const std::string stop_;
};

}  // namespace attnrl::tools
