// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

namespace attnrl::verifier {

// What stands inside the last `\boxed{...}` after the last `</think>` (services/verifier/README.md,
// "The reward"), a part of `response`; nullopt where there is none. Braces must balance, `\{` and
// `\}` don't count, a box that is never closed is none, and of nested boxes the inner one begins
// last. Without `</think>` the whole response is searched. Any bytes; linear time.
struct Extracted {
  std::string_view text;
  // The box was written "\\\\boxed": its content has doubled backslashes, too (Undoubled).
  bool doubled = false;
};
std::optional<Extracted> ExtractAnswer(std::string_view response);

// Where no box is: what follows the last "answer is" or "answer:" up to the end of its sentence,
// else the last formula ($...$, \\(...\\), \\[...\\]), else a short response as a whole. For
// responses that were not asked for a box; never in training, where it would pay for chatter.
std::optional<Extracted> FindAnswer(std::string_view response);

}  // namespace attnrl::verifier
