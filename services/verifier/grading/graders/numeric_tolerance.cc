// SPDX-License-Identifier: Apache-2.0
// Accepts a number near the accepted one: within what stands behind its \pm ("9.8 \pm 0.1"), or
// within 1 % of it. For measurements: a mark ("\approx"), a name ("g =") and a unit may be left
// out, units are converted where both sides have one. A range, a list or an expression with
// variables is near nothing.
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "services/verifier/grading/deciding/balls.h"
#include "services/verifier/grading/deciding/decide.h"
#include "services/verifier/grading/expression/exact.h"
#include "services/verifier/grading/graders/accepted_answers.h"
#include "services/verifier/grading/graders/makers.h"
#include "services/verifier/grading/reading/answer.h"

namespace attnrl::verifier {
namespace {

const Rational kRelative(1, 100);

Expression Times(const Expression& value, Expression factor) {
  std::vector<Expression> factors;
  factors.push_back(value);
  factors.push_back(std::move(factor));
  return MakeProduct(std::move(factors));
}

Rational Absolute(const Rational& value) { return value.IsNegative() ? Rational() - value : value; }

// "g \approx 9.8 \pm 0.1\text{ m/s}^2": a value with what may be next to it.
struct Measurement {
  // Parts of the answer: "g", null without a name, and what is said to be it.
  const Expression* name = nullptr;
  const Expression* value = nullptr;
  std::optional<Rational> bound = {};
  std::string dimension = {};
  Rational factor = Rational(1);  // of its unit
};

// Without its mark or its name; null: it is another relation.
const Expression* TakeName(const Expression& answer, Measurement& measurement) {
  if (answer.kind != Kind::kRelation) return &answer;
  if (answer.arguments.size() == 1) return answer.arguments.data();
  const bool named = answer.arguments.size() == 2 && IsName(answer.arguments[0]) &&
                     (answer.name == "=" || answer.name == "\\approx");
  if (!named) return nullptr;
  measurement.name = answer.arguments.data();
  return &answer.arguments[1];
}

// Without its unit.
const Expression* TakeUnit(const Expression& answer, Measurement& measurement) {
  if (answer.kind != Kind::kQuantity) return &answer;
  measurement.dimension = answer.name;
  measurement.factor = answer.arguments[1].number;
  return answer.arguments.data();
}

// nullopt: it is none.
std::optional<Measurement> MeasurementOf(const Expression& answer, Work& work) {
  Measurement measurement;
  const Expression* node = TakeName(answer, measurement);
  if (node == nullptr) return std::nullopt;
  node = TakeUnit(*node, measurement);
  measurement.value = node;
  const bool both = node->kind == Kind::kSum && node->arguments.size() == 2 &&
                    node->arguments[1].kind == Kind::kPlusMinus;
  if (!both) return measurement;
  measurement.value = node->arguments.data();
  const Expression* bound = node->arguments[1].arguments.data();
  if (bound->kind == Kind::kQuantity) {
    // "9.8 \pm 0.1\text{ m}", "9.8\text{ m} \pm 0.1\text{ m}": the unit of both. "10 \pm 5\%" may
    // mean a part of ten.
    Measurement alone;
    measurement.value = TakeUnit(*measurement.value, alone);
    if (!measurement.dimension.empty()) return std::nullopt;
    bound = TakeUnit(*bound, measurement);
    const bool same =
        alone.dimension == measurement.dimension && alone.factor == measurement.factor;
    if (!same && (measurement.dimension == "%" || !alone.dimension.empty())) return std::nullopt;
  }
  if (measurement.value->kind == Kind::kQuantity) return std::nullopt;
  const std::optional<Rational> value = ExactValue(*bound, work);
  if (!value) return std::nullopt;
  measurement.bound = Absolute(*value);
  return measurement;
}

// Whether `given` is near `wanted` times `scale`, which is above zero. A given \pm, too, must be no
// larger than what is allowed: nobody measures by "10 \pm 1000".
bool IsNear(const Measurement& given, const Measurement& wanted, const Rational& scale,
            Work& work) {
  if (const std::optional<Rational> value = ExactValue(*wanted.value, work)) {
    const Rational middle = *value * scale;
    const Rational bound = wanted.bound ? *wanted.bound * scale : Absolute(middle) * kRelative;
    if (given.bound && bound < *given.bound) return false;
    const std::optional<Rational> mine = ExactValue(*given.value, work);
    if (!mine) return IsWithin(*given.value, middle, bound, work);
    constexpr int64_t kBits = 8;  // that one step subtracts
    return work.Spend((mine->Bits() + middle.Bits()) / kBits) &&
           !(bound < Absolute(*mine - middle));
  }
  // "\pi": no exact number, and so not zero.
  const Expression middle = Times(*wanted.value, MakeNumber(scale));
  if (wanted.bound) {
    const Rational bound = *wanted.bound * scale;
    if (given.bound && bound < *given.bound) return false;
    return IsWithin(MakeSum({*given.value, Negated(middle)}), Rational(), bound, work);
  }
  const Expression part = Reciprocal(middle);
  return IsWithin(Times(*given.value, part), Rational(1), kRelative, work) &&
         (!given.bound ||
          IsWithin(Times(MakeNumber(*given.bound), part), Rational(), kRelative, work));
}

bool IsNear(const Expression& given, const Expression& wanted, Work& work) {
  // Both are copied where values are compared.
  if (!work.Spend(kCopyWork * (Size(given) + Size(wanted)))) return false;
  const std::optional<Measurement> mine = MeasurementOf(given, work);
  const std::optional<Measurement> theirs = mine ? MeasurementOf(wanted, work) : std::nullopt;
  if (!theirs) return false;
  if (mine->name && theirs->name && !(*mine->name == *theirs->name)) return false;
  const Rational hundred(100);
  // A unit may be left out; a percentage is a hundredth, which may be left out where it is wanted.
  if (mine->dimension == theirs->dimension) {
    return IsNear(*mine, *theirs, theirs->factor / mine->factor, work);
  }
  if (!mine->dimension.empty() && !theirs->dimension.empty()) return false;
  if (mine->dimension == "%") return IsNear(*mine, *theirs, hundred, work);
  return IsNear(*mine, *theirs, Rational(1), work) ||
         (theirs->dimension == "%" && IsNear(*mine, *theirs, Rational(1) / hundred, work));
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
      if (reading.expression && IsNear(*reading.expression, *reading.expression, work)) {
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
