// SPDX-License-Identifier: Apache-2.0
// Two answers with a NUL between them: a verdict within the limits, right answers equal to
// themselves, integers equal in both directions or in none.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "services/verifier/grading/deciding/decide.h"
#include "services/verifier/grading/grader.h"
#include "services/verifier/grading/reading/answer.h"
#include "services/verifier/limits.h"
#include "tests/fuzz/targets/require.h"

namespace attnrl::fuzz {
namespace {

using verifier::Kind;
using verifier::Limits;
using verifier::Reading;
using verifier::Work;

std::vector<Reading> Read(std::string_view text) {
  const Limits limits;
  Work work(limits.work);
  return verifier::ReadAnswer(text, verifier::Side::kGiven, limits.depth, work);
}

bool Same(const verifier::Expression& given, const verifier::Expression& wanted) {
  Work work(Limits().work);
  std::string rule;
  const bool same = verifier::IsSame(given, wanted, work, &rule);
  Require(!same || !work.exhausted(), "a limit is no reward");
  return same;
}

bool IsInteger(const verifier::Expression& node) {
  return node.kind == Kind::kNumber && node.number.IsInteger();
}

void Check(std::string_view first, std::string_view second) {
  const std::vector<Reading> a = Read(first);
  const std::vector<Reading> b = Read(second);
  for (const Reading& left : a) {
    if (!left.expression) continue;
    Require(Same(*left.expression, *left.expression), "an answer is the same as itself");
    for (const Reading& right : b) {
      if (!right.expression) continue;
      const bool same = Same(*left.expression, *right.expression);
      if (!IsInteger(*left.expression) || !IsInteger(*right.expression)) continue;
      Require(same == (left.expression->number == right.expression->number),
              "integers are the same where their values are");
    }
  }
  const verifier::GradeResult result =
      verifier::Grade({"", "\\boxed{" + std::string(first) + "}", {std::string(second)}});
  Require(!result.correct || result.status == verifier::GradeStatus::kGraded,
          "only what was graded is a reward");
}

}  // namespace
}  // namespace attnrl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t nul = std::min(text.find('\0'), text.size());
  attnrl::fuzz::Check(text.substr(0, nul), text.substr(std::min(nul + 1, text.size())));
  return 0;
}
