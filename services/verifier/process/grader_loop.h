// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "services/verifier/types.h"

namespace attnrl::verifier {

// The life of a grader process: sends the hello frame, then answers request frames from descriptor
// 0 on descriptor 1, one after another, until the end of input. Returns the process's exit code: 0
// at the end of input, 1 when the other side sends nonsense or is gone.
int RunGraderLoop(const std::function<GradeResult(const GradeRequest&)>& grade);

}  // namespace attnrl::verifier
