// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "services/verifier/grading/graders/graders.h"

namespace attnrl::verifier {

// One maker a grader: graders.cc has the table.
std::unique_ptr<Grader> MakeMath(const Limits& limits, bool explain);
std::unique_ptr<Grader> MakeExactMatch(const Limits& limits, bool explain);
std::unique_ptr<Grader> MakeMultipleChoice(const Limits& limits, bool explain);
std::unique_ptr<Grader> MakeNumericTolerance(const Limits& limits, bool explain);

}  // namespace attnrl::verifier
