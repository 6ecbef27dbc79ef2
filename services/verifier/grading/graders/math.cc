// SPDX-License-Identifier: Apache-2.0
// Accepts what is the same by the rules of services/verifier/README.md, "The reward".
#include <algorithm>
#include <vector>

#include "services/verifier/grading/deciding/decide.h"
#include "services/verifier/grading/graders/accepted_answers.h"
#include "services/verifier/grading/graders/choices.h"
#include "services/verifier/grading/graders/makers.h"
#include "services/verifier/grading/reading/answer.h"

namespace attnrl::verifier {
namespace {

std::string Text(const std::vector<Reading>& readings) {
  std::string text;
  for (const Reading& reading : readings) {
    if (!text.empty()) text += ", or ";
    text += reading.expression ? Text(*reading.expression) : "as text only";
  }
  return text.empty() ? "not at all" : text;
}

// The rule by which a reading of the one equals a reading of the other, in `*rule`; where none
// does, the last that said no.
bool Matches(const std::vector<Reading>& given, const std::vector<Reading>& wanted, Work& work,
             std::string* rule) {
  *rule = "read as text only, and the texts differ";
  for (const Reading& mine : given) {
    for (const Reading& theirs : wanted) {
      if (mine.tokens == theirs.tokens) {
        *rule = "typeset alike";
        return true;
      }
      if (SameChoices(mine.tokens, theirs.tokens)) {
        *rule = "the same choices";
        return true;
      }
      if (mine.expression && theirs.expression &&
          IsSame(*mine.expression, *theirs.expression, work, rule)) {
        return true;
      }
    }
  }
  if (work.exhausted()) *rule = "a limit was reached";
  return false;
}

class Math final : public Grader {
 public:
  Math(const Limits& limits, bool explain) : limits_(limits), explain_(explain) {}

  GradeStatus Read(std::string_view answer, std::string* explanation) override {
    Work work(limits_.work);
    given_ = ReadAnswer(answer, Side::kGiven, limits_.depth, work);
    if (explain_) *explanation = "read as " + Text(given_);
    if (!given_.empty()) return GradeStatus::kGraded;
    return work.exhausted() ? GradeStatus::kLimit : GradeStatus::kUnparsable;
  }

  // Each comparison has a budget of its own, so that the order and number of accepted answers
  // decide nothing.
  Match Compare(const std::string& accepted, bool* limit) override {
    Work work(limits_.work);
    const AcceptedAnswer wanted = ReadAccepted(accepted, limits_, work);
    std::string rule;
    Match match = {Matches(given_, *wanted, work, &rule)};
    *limit = work.exhausted();
    if (explain_) match.explanation = Text(*wanted) + "\n  " + rule;
    return match;
  }

  AnswerKind Check(const std::string& accepted) override {
    Work work(limits_.work);
    const AcceptedAnswer readings = ReadAccepted(accepted, limits_, work);
    if (readings->empty()) return AnswerKind::kUnmatchable;
    const auto is_value = [](const Reading& reading) { return reading.expression.has_value(); };
    return std::any_of(readings->begin(), readings->end(), is_value) ? AnswerKind::kValue
                                                                     : AnswerKind::kText;
  }

 private:
  const Limits limits_;
  const bool explain_;
  std::vector<Reading> given_;
};

}  // namespace

std::unique_ptr<Grader> MakeMath(const Limits& limits, bool explain) {
  return std::make_unique<Math>(limits, explain);
}

}  // namespace attnrl::verifier
