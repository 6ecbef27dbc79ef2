// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "services/verifier/grading/grader.h"

namespace attnrl::verifier {

// For tests only.

inline std::string Boxed(const std::string& answer) { return "\\boxed{" + answer + "}"; }

// Of a response that is nothing but a box, with the steps explained.
inline GradeResult GradeBox(const std::string& boxed, const std::string& accepted) {
  GradeRequest request = {"", Boxed(boxed), {accepted}};
  request.explain = true;
  return Grade(request);
}

inline bool Accepted(const std::string& boxed, const std::string& accepted) {
  return Grade({"", Boxed(boxed), {accepted}}).correct;
}

inline std::string Repeated(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

}  // namespace attnrl::verifier
