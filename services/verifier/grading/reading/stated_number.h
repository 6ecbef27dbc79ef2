// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

namespace attnrl::verifier {

// The last number of a text in words that is stated: behind "is", "are", "by", ":" or the like, as
// in "so there are 12 sequences" and "by 100%". A part of `text`: digits with their point, commas,
// slash, sign and percent sign. Numbers in formulas ("2x", "t_1") are none.
std::optional<std::string_view> LastStatedNumber(std::string_view text);

// The last number of a text in words, whatever stands before it: "She began 3 hours ago."
std::optional<std::string_view> LastNumber(std::string_view text);

}  // namespace attnrl::verifier
