// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace attnrl::verifier {

// Whether two boxes with `between` between them are members of one list: there are a comma, a
// semicolon, "and" or "or", and nothing else but layout and the label of a question.
bool JoinsBoxes(std::string_view between);

}  // namespace attnrl::verifier
