// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace attnrl::verifier {

// Whether two texts are the same words, between spaces and in their order. The case of a word's
// first letter means nothing where it is surely a word, as in "Even", "no solution" and "Yes":
// short ones are names of points, genes or products ("AB", "Aa", "ab"), whose case counts.
bool SameWords(std::string_view a, std::string_view b);

}  // namespace attnrl::verifier
