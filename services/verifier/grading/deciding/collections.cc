// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <set>
#include <utility>

#include "services/verifier/grading/deciding/decider.h"

namespace attnrl::verifier {
namespace {

constexpr size_t kMaxMembers = 2000;
constexpr size_t kMaxRepeated = 100;

// With every \pm as plus and every \mp as minus, or the other way round.
Expression Signed(const Expression& node, bool plus) {
  if (node.kind == Kind::kPlusMinus) {
    Expression inside = Signed(node.arguments[0], plus);
    return (node.name == "+") == plus ? inside : Negated(std::move(inside));
  }
  return Changed(node, [&](const Expression& argument) { return Signed(argument, plus); });
}

// The name in front of "=" of an assignment, "" without one.
std::string NameOf(const Expression& node) {
  return IsAssignment(node) && node.arguments.size() == 2 ? Text(node.arguments[0]) : "";
}

bool AnyNamed(const std::vector<Expression>& members) {
  return std::any_of(members.begin(), members.end(),
                     [](const Expression& member) { return member.kind == Kind::kRelation; });
}

Expression WithoutName(Expression member) {
  if (NameOf(member).empty()) return member;
  Expression value = std::move(member.arguments[1]);
  return value;
}

}  // namespace

bool HasPlusMinus(const Expression& node) {
  if (node.kind == Kind::kPlusMinus) return true;
  return std::any_of(node.arguments.begin(), node.arguments.end(), HasPlusMinus);
}

std::vector<Expression> MembersOf(const Expression& node) {
  std::vector<Expression> members;
  const auto add = [&members](const Expression& member) {
    if (!HasPlusMinus(member)) {
      members.push_back(member);
      return;
    }
    members.push_back(Signed(member, true));
    members.push_back(Signed(member, false));
  };
  if (node.kind == Kind::kList || node.kind == Kind::kSet) {
    for (const Expression& member : node.arguments) add(member);
  } else {
    add(node);
  }
  return members;
}

bool Decider::SameInOrder(const Members& given, const Members& wanted) {
  if (given.size() != wanted.size()) return false;
  for (size_t i = 0; i < given.size(); ++i) {
    if (!Same(given[i], wanted[i])) return false;
  }
  return true;
}

bool Decider::SameInAnyOrder(const Members& given, const Members& wanted) {
  if (given.size() != wanted.size() || given.size() > kMaxMembers) return false;
  std::vector<bool> used(wanted.size(), false);
  for (const Expression& member : given) {
    size_t i = 0;
    while (i < wanted.size() && (used[i] || !Same(member, wanted[i]))) ++i;
    if (i == wanted.size()) return false;
    used[i] = true;
  }
  return true;
}

// In a set and in a list of points a member counts once, however often it is said. Of numbers it
// may be meant: "1, 2, 2" of a double root.
bool Decider::SameButForRepeated(const Members& given, const Members& wanted) {
  if (given.size() <= wanted.size() || given.size() > kMaxRepeated || wanted.size() < 2) {
    return false;
  }
  const auto is_in = [this](const Expression& member, auto begin, auto end) {
    return std::any_of(begin, end, [&](const Expression& other) { return Same(member, other); });
  };
  for (const Expression& member : given) {
    if (!is_in(member, wanted.begin(), wanted.end())) return false;
  }
  for (auto one = wanted.begin(); one != wanted.end(); ++one) {
    const bool said = std::any_of(given.begin(), given.end(),
                                  [&](const Expression& member) { return Same(member, *one); });
    if (!said || is_in(*one, one + 1, wanted.end())) return false;
  }
  return true;
}

// Lists and sets. A name before "=" is dropped where the other side has none at all; several
// different names are then an order.
bool Decider::SameMembers(Members given, Members wanted) {
  if (given.size() != wanted.size()) return false;
  if (AnyNamed(given) != AnyNamed(wanted)) {
    Members& named = AnyNamed(given) ? given : wanted;
    std::set<std::string> names;
    for (Expression& member : named) {
      const std::string name = NameOf(member);
      if (!name.empty()) names.insert(name);
      member = WithoutName(std::move(member));
    }
    if (names.size() > 1) return SameInOrder(given, wanted);
  }
  return SameInAnyOrder(given, wanted);
}

bool Decider::SameCollection(const Expression& given, const Expression& wanted) {
  if (!PayForCopies(given, wanted)) return false;
  // "S = \{1, 2\}" for "1, 2"; "x = 2 \pm 3" for "-1, 5".
  const auto value = [](const Expression& node) -> const Expression& {
    const bool named = node.kind == Kind::kRelation && node.arguments.size() == 2 &&
                       (IsAssignment(node) || node.name == "\\in");
    return named && (node.arguments[1].kind == Kind::kSet || HasPlusMinus(node.arguments[1]))
               ? node.arguments[1]
               : node;
  };
  const bool both = given.kind == Kind::kRelation && wanted.kind == Kind::kRelation;
  const Expression& left = both ? given : value(given);
  const Expression& right = both ? wanted : value(wanted);
  if (both && !HasPlusMinus(given) && !HasPlusMinus(wanted)) return SameRelation(given, wanted);
  // A set of one member is its member, but not the other way round again.
  const auto is_nested = [](const Expression& node) {
    return node.kind == Kind::kSet && node.arguments.size() == 1 &&
           node.arguments[0].kind == Kind::kSet;
  };
  if (is_nested(left) != is_nested(right)) return false;
  // A set is no union, and no tuple.
  for (const Expression* side : {&left, &right}) {
    if (side->kind == Kind::kTuple && !HasPlusMinus(*side)) return false;
  }
  const Members mine = MembersOf(left);
  const Members theirs = MembersOf(right);
  const auto is_tuple = [](const Expression& node) { return node.kind == Kind::kTuple; };
  const bool once = left.kind == Kind::kSet || std::all_of(mine.begin(), mine.end(), is_tuple);
  if (once && SameButForRepeated(mine, theirs)) {
    return Because("the same members, one of them said more than once", true);
  }
  return Because("the same members", SameMembers(mine, theirs));
}

}  // namespace attnrl::verifier
