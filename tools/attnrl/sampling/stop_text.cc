// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/sampling/stop_text.h"

namespace attnrl::tools {

bool StopText::Completes(const std::vector<int32_t>& tokens) const {
  if (stop_.empty() || tokens.empty()) return false;
  const size_t needed = tokenizer_.TokenBytes(tokens.back()).size() + stop_.size() - 1;
  std::string tail;
  for (size_t i = tokens.size(); i > 0 && tail.size() < needed; --i) {
    tail.insert(0, tokenizer_.TokenBytes(tokens[i - 1]));
  }
  return tail.find(stop_) != std::string::npos;
}

std::string StopText::Cut(std::string text) const {
  if (stop_.empty()) return text;
  return text.substr(0, text.find(stop_));
}

}  // namespace attnrl::tools
