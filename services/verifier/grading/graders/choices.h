// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "services/verifier/grading/tokens/latex.h"

namespace attnrl::verifier {

// Whether both are the same choices, "(C)" or "B, E", whatever the case of their letters. What is
// wanted must look like choices rather than variables: letters from A to H in a text style or each
// in parentheses, capital ones without the latter.
bool SameChoices(const Tokens& given, const Tokens& wanted);

}  // namespace attnrl::verifier
