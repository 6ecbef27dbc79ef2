// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

namespace attnrl::verifier {

// What stands inside the last `\boxed{...}` after the last `</think>` (services/verifier/README.md,
// "The reward"), a part of `response`; nullopt where there is none. Braces must balance, `\{` and
// `\}` don't count, a box that is never closed is none, and of nested boxes the inner one begins
// last. Without `</think>` the whole response is searched. Any bytes; linear time.
std::optional<std::string_view> ExtractAnswer(std::string_view response);

}  // namespace attnrl::verifier
