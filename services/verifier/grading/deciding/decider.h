// SPDX-License-Identifier: Apache-2.0
// The rules behind IsSame. One file for each kind: decide.cc (which rule), collections.cc (lists,
// sets, tuples, matrices), relations.cc, values.cc (numbers, units).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "services/verifier/grading/deciding/decide.h"
#include "services/verifier/grading/expression/exact.h"
#include "services/verifier/grading/expression/expression.h"
#include "services/verifier/limits.h"

namespace attnrl::verifier {

// Whether there is a plus-minus in it.
bool HasPlusMinus(const Expression& node);

class Decider {
 public:
  explicit Decider(Work& work) : work_(work) {}

  bool Same(const Expression& given, const Expression& wanted);

  const std::string& rule() const { return rule_; }

 private:
  using Members = std::vector<Expression>;

  // Notes the rule that decides, unless one within has.
  bool Because(const char* rule, bool same);

  // Before both are copied, as members or the other way round.
  bool PayForCopies(const Expression& given, const Expression& wanted);

  // collections.cc
  bool SameCollection(const Expression& given, const Expression& wanted);
  bool SameInAnyOrder(const Members& given, const Members& wanted);
  bool SameInOrder(const Members& given, const Members& wanted);
  bool SameButForRepeated(const Members& given, const Members& wanted);
  bool SameMembers(Members given, Members wanted);

  // relations.cc
  std::optional<bool> SameSet(const Expression& given, const Expression& wanted);
  std::optional<bool> SamePoint(const Expression& given, const Expression& wanted);
  bool SameRelation(const Expression& given, const Expression& wanted);
  bool SameEquation(const Members& given, const Members& wanted);
  bool SameInequality(const Members& given, const Members& wanted, bool flipped);
  bool IsTrueChainFor(const Expression& given, const Expression& wanted);

  // values.cc
  bool SameValue(const Expression& given, const Expression& wanted);
  bool SameQuantity(const Expression& given, const Expression& wanted);
  bool SameBased(const Expression& given, const Expression& wanted);
  bool SameRounded(const Expression& given, const Expression& wanted);
  // "13/6 \\approx 2.17"
  bool IsRoundedAs(const Expression& exact, const Expression& rounded);
  bool RoundsTo(const Expression& given, const Decimal& goal);

  Work& work_;
  std::string rule_;
};

bool HasNoVariables(const Expression& node);

// "x = 5", "f(x) = 2x": one equation with a name alone on its left side.
bool IsAssignment(const Expression& node);

// "2 < x \leq 7" as (2, 7], "x > 5" as (5, \infty); nullopt: no inequality about one quantity.
std::optional<Expression> AsInterval(const Expression& node);

// The members of a list or set, both signs of plus-minus written out; of anything else, itself.
std::vector<Expression> MembersOf(const Expression& node);

}  // namespace attnrl::verifier
