// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "services/verifier/types.h"

namespace attnrl::fuzz {

// What one grading asked of the heap. Every node of an expression and every number beyond 62 bits
// is an allocation, so this counts copying and arithmetic without a clock, and without believing
// the grader's own count of work.
struct Counts {
  int64_t allocations = 0;
  int64_t peak_bytes = 0;  // beyond what was there before
};

// Grades on a thread of its own with a stack of `kStackBytes`, so that a recursion without a bound
// ends the process. One caller at a time: the counts are those of the whole process.
#if defined(ATTNRL_SANITIZED)
constexpr int64_t kStackBytes = int64_t{32} << 20;  // their frames are larger
#else
constexpr int64_t kStackBytes = int64_t{4} << 20;
#endif
verifier::GradeResult GradeCounted(const std::string& answer, const std::string& accepted,
                                   Counts* counts);

// Empty where the grading kept what is promised: a verdict or a limit, within these bounds.
std::string Broken(const verifier::GradeResult& result, const Counts& counts);

}  // namespace attnrl::fuzz
