// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "services/verifier/limits.h"
#include "services/verifier/types.h"

namespace attnrl::verifier {

// Grades one response: extract (ExtractAnswer), read (ReadLatex), compare (Equivalent) with each
// accepted answer until one matches. A pure function but for `micros`: the same request always gets
// the same verdict. Meant for untrusted text, so it runs in `attnrl-grader`, never in a service.
// Status: graded, no_answer, unparsable, or limit when the response exceeds `limits`; an accepted
// answer that can't be read matches only its own text.
GradeResult Grade(const GradeRequest& request, const Limits& limits = {});

}  // namespace attnrl::verifier
