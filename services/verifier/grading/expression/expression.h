// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "services/verifier/grading/expression/rational.h"

namespace attnrl::verifier {

// What a node of an expression is, and what its name and arguments mean.
enum class Kind {
  kNumber,     // `number`; `decimals` where it was written with a point
  kSymbol,     // a variable ("x", "x_{1}", "\\alpha"), or a constant: "\\pi", "e", "i", "\\infty"
  kSum,        // of the arguments
  kProduct,    // of the arguments
  kPower,      // base, exponent
  kFunction,   // a known one (FunctionNames): "\\sin", "!", "\\log" with the base second, ...
  kCall,       // an unknown one: f(x), a derivative
  kPlusMinus,  // plus or minus the argument; name "+" or "-" for the sign that comes first
  kQuantity,   // the argument in the unit `name` (reading/units.h)
  kBased,      // the argument, written in the base `name`
  kRelation,   // arguments with an operator between each two: name "=", "<|\\leq", ...
  kList,       // members between commas, in no order; name "or" where "or" is between each two
  kSet,        // members between braces, in no order
  kTuple,      // members in order; name is the brackets: "()", "[)", "[]", ...
  kUnion,      // of sets; name is "\\cup", "\\cap" or "\\setminus"
  kMatrix,     // rows, each a kTuple; name "matrix" or, for a determinant, "vmatrix"
  kText,       // words
};

// An answer as it was read: a tree. A plain value, at most a few times as high as Limits::depth.
struct Expression {
  Kind kind = Kind::kText;
  std::string name = {};
  Rational number = {};
  // Digits behind the point, and those from the first that isn't 0 on; -1: written without a point.
  int64_t decimals = -1;
  int64_t significant = 0;
  std::vector<Expression> arguments = {};

  // Of the same form throughout; numbers by their value.
  bool operator==(const Expression& other) const;
};

Expression MakeNumber(Rational value);
Expression MakeSymbol(std::string name);
// One argument is returned as it is.
Expression MakeSum(std::vector<Expression> terms);
Expression MakeProduct(std::vector<Expression> factors);
Expression MakePower(Expression base, Expression exponent);
Expression MakeNode(Kind kind, std::string name, std::vector<Expression> arguments);
Expression Negated(Expression value);
Expression Reciprocal(Expression value);

// The node with what `change` makes of each argument. Copies the node alone, so that changing all
// of a tree costs no more than its nodes.
template <typename Change>
Expression Changed(const Expression& node, Change change) {
  Expression made;
  made.kind = node.kind;
  made.name = node.name;
  made.number = node.number;
  made.decimals = node.decimals;
  made.significant = node.significant;
  made.arguments.reserve(node.arguments.size());
  for (const Expression& argument : node.arguments) made.arguments.push_back(change(argument));
  return made;
}

// For a person: "(x^2 + 1/2)", cut after some 2,000 bytes.
std::string Text(const Expression& expression);

// Steps of work of a node that is copied.
constexpr int64_t kCopyWork = 20;

// Nodes of the tree.
int64_t Size(const Expression& expression);

}  // namespace attnrl::verifier
