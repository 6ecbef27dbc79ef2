// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/deciding/decide.h"

#include <algorithm>
#include <optional>

#include "services/verifier/grading/deciding/decider.h"
#include "services/verifier/grading/deciding/words.h"

namespace attnrl::verifier {
namespace {

bool IsCollection(const Expression& node) {
  return node.kind == Kind::kList || node.kind == Kind::kSet;
}

// "\frac{AB}{CD}", "|AB|": names one quantity, where "2x", "xy" and "x + y" are parts of an
// equation.
bool IsQuantityName(const Expression& node) {
  const auto is_lower = [](const Expression& one) {
    return one.kind == Kind::kSymbol && one.name[0] >= 'a' && one.name[0] <= 'z';
  };
  if (node.kind == Kind::kSum) return false;
  if (node.kind == Kind::kProduct &&
      std::any_of(node.arguments.begin(), node.arguments.end(), is_lower)) {
    return false;
  }
  if (node.kind == Kind::kNumber) return node.number == Rational(-1);
  return std::all_of(node.arguments.begin(), node.arguments.end(), IsQuantityName);
}

// "\mathbb{R}", "(-\infty, \infty)"
bool IsRealLine(const Expression& node) {
  if (node.kind == Kind::kSymbol) return node.name == "\\mathbb{R}";
  const Expression infinity = MakeSymbol("\\infty");
  return node.kind == Kind::kTuple && node.name == "()" && node.arguments.size() == 2 &&
         node.arguments[0] == Negated(infinity) && node.arguments[1] == infinity;
}

bool IsMark(const Expression& node) {
  return node.kind == Kind::kRelation && node.arguments.size() == 1;
}

}  // namespace

bool IsName(const Expression& node) {
  return node.kind == Kind::kCall ||
         (node.kind == Kind::kSymbol && node.name != "\\pi" && node.name != "\\infty");
}

bool HasNoVariables(const Expression& node) {
  if (node.kind == Kind::kCall || node.kind == Kind::kText) return false;
  if (node.kind == Kind::kSymbol) {
    return node.name == "\\pi" || node.name == "e" || node.name == "i";
  }
  return std::all_of(node.arguments.begin(), node.arguments.end(), HasNoVariables);
}

bool IsAssignment(const Expression& node) {
  if (node.kind != Kind::kRelation || node.name != "=") return false;
  const Expression& left = node.arguments[0];
  if (IsName(left)) return true;
  // (p, q) = (3, 2)
  return left.kind == Kind::kTuple && left.name == "()" &&
         std::all_of(left.arguments.begin(), left.arguments.end(), IsName);
}

bool Decider::Because(const char* rule, bool same) {
  if (rule_.empty() || same) rule_ = rule;
  return same;
}

bool Decider::PayForCopies(const Expression& given, const Expression& wanted) {
  constexpr int64_t kSteps = 4;
  return work_.Spend(kSteps * (Size(given) + Size(wanted)));
}

bool Decider::Same(const Expression& given, const Expression& wanted) {
  // Both are walked through some times before anything is decided.
  if (!work_.Spend(Size(given) + Size(wanted))) return false;
  if (given == wanted && given.kind != Kind::kText) return Because("the same form", true);
  if (const std::optional<bool> same = SameSet(given, wanted)) return *same;
  if (const std::optional<bool> same = SamePoint(given, wanted)) return *same;
  if (IsCollection(given) || IsCollection(wanted) || HasPlusMinus(given) || HasPlusMinus(wanted)) {
    return SameCollection(given, wanted);
  }
  // "\approx 8.24"
  if (IsMark(given) || IsMark(wanted)) {
    return Same(IsMark(given) ? given.arguments[0] : given,
                IsMark(wanted) ? wanted.arguments[0] : wanted);
  }
  if (given.kind == Kind::kRelation && wanted.kind == Kind::kRelation) {
    return SameRelation(given, wanted);
  }
  if (given.kind == Kind::kRelation) {
    if (!PayForCopies(given, wanted)) return false;
    const std::optional<Expression> interval = AsInterval(given);
    return interval ? Same(*interval, wanted) : IsTrueChainFor(given, wanted);
  }
  if (wanted.kind == Kind::kRelation) {
    // "5" for "x = 5"; "(1, 2)" for "x \in (1, 2)".
    if (wanted.arguments.size() == 2 &&
        (IsAssignment(wanted) ||
         (wanted.name == "\\in" && wanted.arguments[0].kind == Kind::kSymbol) ||
         (wanted.name == "=" && IsQuantityName(wanted.arguments[0]) &&
          HasNoVariables(wanted.arguments[1])))) {
      return Same(given, wanted.arguments[1]);
    }
    if (!PayForCopies(given, wanted)) return false;
    const std::optional<Expression> interval = AsInterval(wanted);
    return interval && Same(given, *interval);
  }
  if (given.kind == Kind::kText || wanted.kind == Kind::kText) {
    return Because("the same words",
                   given.kind == wanted.kind && SameWords(given.name, wanted.name));
  }
  if (IsRealLine(given) && IsRealLine(wanted)) return Because("all real numbers", true);
  if (given.kind == Kind::kMatrix || wanted.kind == Kind::kMatrix || given.kind == Kind::kTuple ||
      wanted.kind == Kind::kTuple) {
    return given.kind == wanted.kind && given.name == wanted.name &&
           Because("member by member", SameInOrder(given.arguments, wanted.arguments));
  }
  if (given.kind == Kind::kUnion || wanted.kind == Kind::kUnion) {
    if (given.kind != wanted.kind || given.name != wanted.name) return false;
    const bool ordered = given.name == "\\setminus" || given.name == "\\backslash";
    return Because("set by set", ordered ? SameInOrder(given.arguments, wanted.arguments)
                                         : SameInAnyOrder(given.arguments, wanted.arguments));
  }
  return SameValue(given, wanted);
}

bool IsSame(const Expression& given, const Expression& wanted, Work& work, std::string* rule) {
  Decider decider(work);
  const bool same = decider.Same(given, wanted) && !work.exhausted();
  *rule = decider.rule();
  return same;
}

}  // namespace attnrl::verifier
