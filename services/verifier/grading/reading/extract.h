// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace attnrl::verifier {

// What stands inside the last `\boxed{...}` after the last `</think>` (services/verifier/README.md,
// "The reward"), a part of `response`; nullopt where there is none. Braces must balance, `\{` and
// `\}` don't count, a box that is never closed is none, and of nested boxes the inner one begins
// last. Without `</think>` the whole response is searched. Any bytes; linear time, and memory for
// boxes alone, 14 times the response at most.
struct Extracted {
  std::string_view text;
  // The box was written "\\\\boxed": its content has doubled backslashes, too (Undoubled).
  bool doubled = false;
  // The boxes in front of it that it is one list with, in order: nothing but commas and "and"
  // stands between them. Who writes "\boxed{1} and \boxed{2}" has answered with both.
  std::vector<std::string_view> before = {};
};
std::optional<Extracted> ExtractAnswer(std::string_view response);

// The answer as one text: its boxes with commas between them, single backslashes, trimmed.
std::string AnswerText(const Extracted& extracted);

// Where no box is: what follows the last "answer is" or "answer:" up to the end of its sentence (of
// a sentence that begins with words, the last number), else the last formula ($...$, \\(...\\),
// \\[...\\]) or a number that is stated behind it ("is 12", "by 100%"), else a short response as a
// whole. For responses that were not asked for a box; never in training, where it would pay for
// chatter.
std::optional<Extracted> FindAnswer(std::string_view response);

}  // namespace attnrl::verifier
