// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "services/verifier/grading/expression/expression.h"
#include "services/verifier/limits.h"

namespace attnrl::verifier {

// Whether `given`, an answer, is the same as `wanted`, an accepted one, by the rules of README.md;
// `*rule` names the one that decided, for a person. Not symmetric: who asks for digits may get
// more of them, and who asks for a number gets no percentage. False where `work` is exhausted.
bool IsSame(const Expression& given, const Expression& wanted, Work& work, std::string* rule);

// A variable or an unknown function with its arguments; not \pi.
bool IsName(const Expression& node);

}  // namespace attnrl::verifier
