// SPDX-License-Identifier: Apache-2.0
// Accepts a number near the accepted one: within what stands behind its \pm ("9.8 \pm 0.1"), or
// within 1 % of it. For measurements; units are converted where both sides have one. A range, a
// list or an expression with variables is near nothing.
#include <optional>
#include <vector>

#include "services/verifier/grading/deciding/balls.h"
#include "services/verifier/grading/expression/exact.h"
#include "services/verifier/grading/graders/accepted_answers.h"
#include "services/verifier/grading/graders/makers.h"
#include "services/verifier/grading/reading/answer.h"

namespace attnrl::verifier {
namespace {

const Rational kRelative(1, 100);

// A number with what may be next to it.
struct Quantity {
  const Expression* value = nullptr;
  std::string dimension = {};
  Rational factor = Rational(1);
};

Quantity QuantityOf(const Expression& expression) {
  if (expression.kind != Kind::kQuantity) return {&expression};
  return {&expression.arguments[0], expression.name, expression.arguments[1].number};
}

// "9.8 \pm 0.1", "9.8": the middle and how far from it one may be.
struct Goal {
  Rational middle;
  Rational bound;
};
std::optional<Goal> GoalOf(const Expression& wanted, Work& work) {
  const bool both = wanted.kind == Kind::kSum && wanted.arguments.size() == 2 &&
                    wanted.arguments[1].kind == Kind::kPlusMinus;
  const std::optional<Rational> middle = ExactValue(both ? wanted.arguments[0] : wanted, work);
  if (!middle) return std::nullopt;
  Rational bound = *middle * kRelative;
  if (both) {
    const std::optional<Rational> given = ExactValue(wanted.arguments[1].arguments[0], work);
    if (!given) return std::nullopt;
    bound = *given;
  }
  return Goal{*middle, bound.IsNegative() ? Rational() - bound : bound};
}

bool IsNear(const Expression& given, const Expression& wanted, Work& work) {
  const Quantity mine = QuantityOf(given);
  const Quantity theirs = QuantityOf(wanted);
  const bool units = !mine.dimension.empty() && !theirs.dimension.empty();
  if (units && mine.dimension != theirs.dimension) return false;
  // A unit may be left out; a percentage is another number.
  if (!units && mine.dimension == "%") return false;
  const std::optional<Goal> goal = GoalOf(*theirs.value, work);
  if (!goal) return false;
  const Rational scale = units ? theirs.factor / mine.factor : Rational(1);
  return IsWithin(*mine.value, goal->middle * scale, goal->bound * scale, work);
}

class NumericTolerance final : public Grader {
 public:
  NumericTolerance(const Limits& limits, bool explain) : limits_(limits), explain_(explain) {}

  GradeStatus Read(std::string_view answer, std::string* explanation) override {
    Work work(limits_.work);
    given_ = ReadAnswer(answer, Side::kGiven, limits_.depth, work);
    if (work.exhausted()) return GradeStatus::kLimit;
    bool readable = false;
    for (const Reading& reading : given_) {
      readable |= reading.expression.has_value();
      if (explain_ && reading.expression) *explanation = "read as " + Text(*reading.expression);
    }
    return readable ? GradeStatus::kGraded : GradeStatus::kUnparsable;
  }

  Match Compare(const std::string& accepted, bool* limit) override {
    Work work(limits_.work);
    const AcceptedAnswer wanted = ReadAccepted(accepted, limits_, work);
    Match match;
    for (const Reading& mine : given_) {
      for (const Reading& theirs : *wanted) {
        match.same = match.same || (mine.expression && theirs.expression &&
                                    IsNear(*mine.expression, *theirs.expression, work));
      }
    }
    *limit = work.exhausted();
    match.same = match.same && !*limit;
    if (explain_) {
      match.explanation =
          accepted + "\n  " + (match.same ? "within its tolerance" : "too far away");
    }
    return match;
  }

  AnswerKind Check(const std::string& accepted) override {
    Work work(limits_.work);
    for (const Reading& reading : *ReadAccepted(accepted, limits_, work)) {
      if (reading.expression && GoalOf(*QuantityOf(*reading.expression).value, work)) {
        return AnswerKind::kValue;
      }
    }
    return AnswerKind::kUnmatchable;
  }

 private:
  const Limits limits_;
  const bool explain_;
  std::vector<Reading> given_;
};

}  // namespace

std::unique_ptr<Grader> MakeNumericTolerance(const Limits& limits, bool explain) {
  return std::make_unique<NumericTolerance>(limits, explain);
}

}  // namespace attnrl::verifier
