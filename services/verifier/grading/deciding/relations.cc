// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string_view>
#include <utility>

#include "services/verifier/grading/deciding/balls.h"
#include "services/verifier/grading/deciding/decider.h"

namespace attnrl::verifier {
namespace {

std::string_view Mirrored(std::string_view one) {
  if (one == "<") return ">";
  if (one == ">") return "<";
  if (one == "\\leq") return "\\geq";
  if (one == "\\geq") return "\\leq";
  return one == "=" || one == "\\neq" || one == "\\equiv" || one == "\\sim" || one == "\\cong" ||
                 one == "\\perp" || one == "\\parallel" || one == "\\approx" || one == "\\simeq"
             ? one
             : "";
}

bool IsOrder(std::string_view one) {
  return one == "<" || one == ">" || one == "\\leq" || one == "\\geq";
}

std::vector<std::string> Operators(const Expression& relation) {
  std::vector<std::string> operators;
  std::string_view name = relation.name;
  while (true) {
    const size_t end = name.find('|');
    operators.emplace_back(name.substr(0, end));
    if (end == std::string_view::npos) return operators;
    name.remove_prefix(end + 1);
  }
}

Expression Difference(const Expression& a, const Expression& b) {
  std::vector<Expression> terms;
  terms.push_back(a);
  terms.push_back(Negated(b));
  return MakeSum(std::move(terms));
}

bool IsZero(const Expression& node) { return node.kind == Kind::kNumber && node.number.IsZero(); }

bool IsSetLike(const Expression& node) {
  return node.kind == Kind::kSet || node.kind == Kind::kTuple || node.kind == Kind::kUnion ||
         node.kind == Kind::kSymbol;
}

// "x = 5", "3 < x": a name alone on one side, and no variable on the other.
bool IsSolved(const std::vector<Expression>& sides) {
  return (IsName(sides[0]) && HasNoVariables(sides[1])) ||
         (IsName(sides[1]) && HasNoVariables(sides[0]));
}

// Whether a chain begins with a name: "x = 2 + 3 = 5".
bool IsAssignmentSide(const Expression& chain) {
  Expression first = MakeNode(Kind::kRelation, "=", {});
  if (!chain.name.starts_with("=")) return false;
  first.arguments = {chain.arguments[0], chain.arguments[1]};
  return IsAssignment(first);
}

// "a <= x < b" turned round: "b > x >= a".
Expression Turned(const Expression& relation) {
  Expression turned = relation;
  std::reverse(turned.arguments.begin(), turned.arguments.end());
  std::vector<std::string> operators = Operators(relation);
  turned.name.clear();
  for (auto one = operators.rbegin(); one != operators.rend(); ++one) {
    if (Mirrored(*one).empty()) return {};
    if (one != operators.rbegin()) turned.name += '|';
    turned.name += Mirrored(*one);
  }
  return turned;
}

// Where a quantity is said to be: "x \in (2, 3)", "2 < x < 3", "x < 2 or x > 3".
struct Membership {
  Expression name;
  Expression set;
};

// Of an inequality about one quantity.
std::optional<Membership> AsBounded(const Expression& node) {
  if (node.kind != Kind::kRelation) return std::nullopt;
  std::vector<std::string> operators = Operators(node);
  if (!std::all_of(operators.begin(), operators.end(), IsOrder)) return std::nullopt;
  const bool rising = operators[0][0] == '<' || operators[0] == "\\leq";
  const Expression ordered = rising ? node : Turned(node);
  operators = Operators(ordered);
  std::vector<Expression> ends;
  size_t name = 1;
  const auto is_rising = [](const std::string& one) { return one == "<" || one == "\\leq"; };
  if (!std::all_of(operators.begin(), operators.end(), is_rising)) return std::nullopt;
  std::string brackets = "()";
  if (operators.size() == 2 && IsName(ordered.arguments[1])) {
    ends = {ordered.arguments[0], ordered.arguments[2]};
    if (operators[0] == "\\leq") brackets[0] = '[';
    if (operators[1] == "\\leq") brackets[1] = ']';
  } else if (operators.size() == 1 && IsName(ordered.arguments[0]) &&
             !IsName(ordered.arguments[1])) {
    ends = {Negated(MakeSymbol("\\infty")), ordered.arguments[1]};
    name = 0;
    if (operators[0] == "\\leq") brackets[1] = ']';
  } else if (operators.size() == 1 && IsName(ordered.arguments[1])) {
    ends = {ordered.arguments[0], MakeSymbol("\\infty")};
    if (operators[0] == "\\leq") brackets[0] = '[';
  } else {
    return std::nullopt;
  }
  return Membership{ordered.arguments[name], MakeNode(Kind::kTuple, brackets, std::move(ends))};
}

bool IsAlternatives(const Expression& node) {
  return node.kind == Kind::kList && node.name == "or";
}

// "x = 3, y = 4" as (3, 4). Only the usual names of coordinates have an order that everybody knows.
std::optional<Expression> AsPoint(const Expression& list) {
  static constexpr std::string_view kNames[] = {"x", "y", "z"};
  const size_t size = list.arguments.size();
  if (IsAlternatives(list) || size < 2 || size > std::size(kNames)) return std::nullopt;
  std::vector<Expression> coordinates;
  for (size_t i = 0; i < size; ++i) {
    const auto named =
        std::find_if(list.arguments.begin(), list.arguments.end(), [&](const Expression& member) {
          return IsAssignment(member) && member.arguments.size() == 2 &&
                 member.arguments[0] == MakeSymbol(std::string(kNames[i]));
        });
    if (named == list.arguments.end() || HasPlusMinus(*named)) return std::nullopt;
    coordinates.push_back(named->arguments[1]);
  }
  return MakeNode(Kind::kTuple, "()", std::move(coordinates));
}

std::optional<Membership> AsMembership(const Expression& node) {
  if (node.kind == Kind::kRelation && node.name == "\\in" && IsName(node.arguments[0]) &&
      IsSetLike(node.arguments[1])) {
    return Membership{node.arguments[0], node.arguments[1]};
  }
  if (!IsAlternatives(node)) return AsBounded(node);
  Membership all;
  std::vector<Expression> intervals;
  for (const Expression& member : node.arguments) {
    std::optional<Membership> one = AsBounded(member);
    if (!one || (!intervals.empty() && !(one->name == all.name))) return std::nullopt;
    all.name = std::move(one->name);
    intervals.push_back(std::move(one->set));
  }
  all.set = MakeNode(Kind::kUnion, "\\cup", std::move(intervals));
  return all;
}

}  // namespace

std::optional<Expression> AsInterval(const Expression& node) {
  std::optional<Membership> bounded = AsBounded(node);
  if (!bounded) return std::nullopt;
  return std::move(bounded->set);
}

// "x \in (2, 3)" for "2 < x < 3", "x < 2 or x > 3" for a union, and the other way round; nullopt:
// both sides are written in one way, or this is no matter of sets.
std::optional<bool> Decider::SameSet(const Expression& given, const Expression& wanted) {
  const bool relations = given.kind == Kind::kRelation && wanted.kind == Kind::kRelation &&
                         (given.name == "\\in") != (wanted.name == "\\in");
  const bool alternatives = IsAlternatives(given) != IsAlternatives(wanted) &&
                            given.kind != wanted.kind && given.kind != Kind::kSet &&
                            wanted.kind != Kind::kSet;
  if (!relations && !alternatives) return std::nullopt;
  if (!PayForCopies(given, wanted)) return false;
  const std::optional<Membership> mine = AsMembership(given);
  const std::optional<Membership> theirs = AsMembership(wanted);
  if (mine && theirs) {
    return mine->name == theirs->name && Because("the same set", Same(mine->set, theirs->set));
  }
  if (mine && IsAlternatives(given)) return Same(mine->set, wanted);
  if (theirs && IsAlternatives(wanted)) return Same(given, theirs->set);
  return std::nullopt;
}

// "x = 3, y = 4" for "(3, 4)", and the other way round; nullopt: it is nothing of the kind.
std::optional<bool> Decider::SamePoint(const Expression& given, const Expression& wanted) {
  const bool from_list = given.kind == Kind::kList && wanted.kind == Kind::kTuple;
  if (!from_list && (given.kind != Kind::kTuple || wanted.kind != Kind::kList)) return std::nullopt;
  if (!PayForCopies(given, wanted)) return false;
  const std::optional<Expression> point = AsPoint(from_list ? given : wanted);
  if (!point) return std::nullopt;
  return from_list ? Same(*point, wanted) : Same(given, *point);
}

bool Decider::SameRelation(const Expression& given, const Expression& wanted) {
  const bool two = given.arguments.size() == 2 && wanted.arguments.size() == 2;
  if (two && given.name == "=" && wanted.name == "=") {
    return Because("the same equation", SameEquation(given.arguments, wanted.arguments));
  }
  if (given.name == wanted.name && SameInOrder(given.arguments, wanted.arguments)) {
    return Because("the same relation", true);
  }
  if (!PayForCopies(given, wanted)) return false;
  const Expression turned = Turned(given);
  if (turned.kind == Kind::kRelation && turned.name == wanted.name &&
      SameInOrder(turned.arguments, wanted.arguments)) {
    return Because("the same relation, turned round", true);
  }
  if (two && IsOrder(given.name) && IsOrder(wanted.name)) {
    const bool same = given.name == wanted.name;
    if (!same && turned.name != wanted.name) return false;
    return Because("the same inequality", SameInequality(given.arguments, wanted.arguments, !same));
  }
  // "x = 2 + 3 = 5" for "x = 5".
  if (wanted.name == "=" && IsName(given.arguments[0]) && given.arguments.size() > 2 &&
      given.arguments[0] == wanted.arguments[0]) {
    return IsTrueChainFor(given, wanted.arguments[1]);
  }
  return false;
}

// l = r for L = R: both sides times one constant; or everything on one side. Where the answer
// wanted isn't a solved one, any multiple of it: "2x - y = 3" for "y = 2x - 3" only if moved as a
// whole, so that an equation of the problem doesn't pass for its solution.
bool Decider::SameEquation(const Members& given, const Members& wanted) {
  for (const bool swapped : {false, true}) {
    const Expression& left = given[swapped ? 1 : 0];
    const Expression& right = given[swapped ? 0 : 1];
    if (IsName(wanted[0]) && left == wanted[0]) return Same(right, wanted[1]);
    if (IsName(wanted[1]) && right == wanted[1] && !IsName(wanted[0])) {
      return Same(left, wanted[0]);
    }
    if (IsName(left) && IsName(wanted[0]) && !IsName(right) && !IsName(wanted[1])) continue;
    if (Same(left, wanted[0]) && Same(right, wanted[1])) return true;
  }
  const Expression difference = Difference(wanted[0], wanted[1]);
  const Expression mine = Difference(given[0], given[1]);
  bool positive = false;
  // "x - 5 = 0" says "x = 5"; "2x - 10 = 0" is still to be solved.
  if (IsSolved(wanted)) {
    return (IsZero(given[0]) || IsZero(given[1])) &&
           (CompareValues(mine, difference, work_) == Comparison::kEqual ||
            CompareValues(mine, Negated(difference), work_) == Comparison::kEqual);
  }
  if (IsZero(given[0]) || IsZero(given[1]) || (!IsName(wanted[0]) && !IsName(wanted[1]))) {
    return IsConstantRatio(mine, difference, work_, &positive);
  }
  // 2 y = 2 (x + 5); but 2 x = 10 is no solution.
  if (HasNoVariables(wanted[0]) || HasNoVariables(wanted[1])) return false;
  for (const bool swapped : {false, true}) {
    const Expression& left = given[swapped ? 1 : 0];
    if (IsConstantRatio(left, wanted[0], work_, &positive)) {
      return IsConstantRatio(mine, difference, work_, &positive);
    }
  }
  return false;
}

// As equations: "x > 3" is a solution, which "x - 3 > 0" and "0 < x - 3" say, and "2x > 6" doesn't.
// `flipped`: the signs of both point in different directions.
bool Decider::SameInequality(const Members& given, const Members& wanted, bool flipped) {
  const Expression difference = Difference(wanted[0], wanted[1]);
  const Expression mine = Difference(given[0], given[1]);
  if (IsSolved(wanted)) {
    return (IsZero(given[0]) || IsZero(given[1])) &&
           CompareValues(mine, flipped ? Negated(difference) : difference, work_) ==
               Comparison::kEqual;
  }
  bool positive = false;
  return IsConstantRatio(mine, difference, work_, &positive) && positive != flipped;
}

// "x = 5" for "5"; "18 + 7 = 25" for "25"; "13/6 \approx 2.17" for "13/6": everything that is said
// to be equal is what is wanted.
bool Decider::IsTrueChainFor(const Expression& given, const Expression& wanted) {
  const std::vector<std::string> operators = Operators(given);
  size_t first = 0;
  if (operators[0] == "\\in" && operators.size() == 1 && IsName(given.arguments[0])) {
    return IsSetLike(given.arguments[1]) && Same(given.arguments[1], wanted);
  }
  if ((IsName(given.arguments[0]) && operators[0] == "\\approx") || IsAssignmentSide(given)) {
    first = 1;
  }
  bool any = false;
  for (size_t i = first; i < given.arguments.size(); ++i) {
    const bool approximate = i > 0 && i > first && operators[i - 1] == "\\approx";
    if (i > first && !approximate && operators[i - 1] != "=") return false;
    if (approximate) {
      // What it is rounded to decides nothing, but must not be another value.
      if (!IsRoundedAs(given.arguments[i - 1], given.arguments[i])) return false;
      continue;
    }
    if (!Same(given.arguments[i], wanted)) return false;
    any = true;
  }
  return any;
}

}  // namespace attnrl::verifier
