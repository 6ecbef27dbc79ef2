// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "services/verifier/limits.h"
#include "services/verifier/types.h"

namespace attnrl::verifier {

// What one accepted answer makes of the answer that was found.
struct Match {
  bool same = false;
  // For a person, and only where asked for: how both were read, and which rule decided.
  std::string explanation = {};
};

// One way to compare answers (README.md). A grader is made for one response: what it reads of the
// answer, it reads once.
class Grader {
 public:
  virtual ~Grader() = default;

  // Reads the answer found in the response, without white space around it. kGraded, or why it can't
  // be compared: kUnparsable, kLimit. `*explanation` says how it was read.
  virtual GradeStatus Read(std::string_view answer, std::string* explanation) = 0;
  // Compares it with an accepted answer, raw as in the data set. `*limit` is set where a counted
  // limit ended the comparison, which then says that they differ.
  virtual Match Compare(const std::string& accepted, bool* limit) = 0;
  // How an accepted answer is read, before any response is there.
  virtual AnswerKind Check(const std::string& accepted) = 0;
};

// The grader of a name of kGraders, "" being the first; null where there is none.
std::unique_ptr<Grader> MakeGrader(std::string_view name, const Limits& limits, bool explain);

}  // namespace attnrl::verifier
