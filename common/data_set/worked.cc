// SPDX-License-Identifier: Apache-2.0
#include "common/data_set/worked.h"

#include <cstddef>

#include "absl/strings/ascii.h"

namespace attnrl::data_set {
namespace {

constexpr std::string_view kHashes = "####";
constexpr std::string_view kBoxed = "\\boxed";
constexpr std::string_view kBlanks = " \t\r\n";

std::string Stripped(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1));
}

// What stands between the brace at the beginning of `text` and its partner.
std::optional<std::string> Braced(std::string_view text) {
  size_t depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '{') {
      ++depth;
    } else if (text[i] == '}' && --depth == 0) {
      return std::string(text.substr(1, i - 1));
    }
  }
  return std::nullopt;
}

// The content of the box whose name ends where `text` begins; nullopt where it is none.
std::optional<std::string> BoxContent(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return std::nullopt;
  if (text[begin] == '{') return Braced(text.substr(begin));
  if (begin == 0) return std::nullopt;  // \boxedtext or a bare \boxed
  std::string content = Stripped(text.substr(begin, text.find_first_of("$\n", begin) - begin));
  if (content.empty()) return std::nullopt;
  return content;
}

}  // namespace

std::optional<std::string> BehindHashes(std::string_view text) {
  const size_t hashes = text.rfind(kHashes);
  if (hashes == std::string_view::npos) return std::nullopt;
  std::string behind = Stripped(text.substr(hashes + kHashes.size()));
  if (behind.find('\n') != std::string::npos) return std::nullopt;
  return behind;
}

std::optional<std::string> LastBox(std::string_view text) {
  // A box that is never closed hides none before it, which must then close before it: so no part of
  // the text is read twice.
  size_t at = text.rfind(kBoxed);
  while (at != std::string_view::npos) {
    if (auto content = BoxContent(text.substr(at + kBoxed.size()))) return content;
    text = text.substr(0, at);
    at = text.rfind(kBoxed);
  }
  return std::nullopt;
}

std::optional<std::string> FinalAnswer(std::string_view solution) {
  std::optional<std::string> answer = LastBox(solution);
  if (!answer.has_value()) answer = BehindHashes(solution);
  if (!answer.has_value() || Stripped(*answer).empty()) return std::nullopt;
  return answer;
}

}  // namespace attnrl::data_set
