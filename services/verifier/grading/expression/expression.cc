// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/expression/expression.h"

#include <string_view>
#include <utility>

namespace attnrl::verifier {
namespace {

constexpr size_t kLongestText = 2000;

void Append(const Expression& node, std::string& out);

void AppendJoined(const Expression& node, std::string_view between, std::string& out) {
  for (size_t i = 0; i < node.arguments.size(); ++i) {
    if (i > 0) out += between;
    Append(node.arguments[i], out);
  }
}

// The operators of a relation, "<|\\leq", one after the other.
void AppendRelation(const Expression& node, std::string& out) {
  std::string_view operators = node.name;
  for (size_t i = 0; i < node.arguments.size(); ++i) {
    if (i > 0) {
      const size_t end = operators.find('|');
      out += ' ';
      out += operators.substr(0, end);
      out += ' ';
      operators = end == std::string_view::npos ? "" : operators.substr(end + 1);
    }
    Append(node.arguments[i], out);
  }
}

void AppendBracketed(const Expression& node, std::string_view open, std::string_view between,
                     std::string_view close, std::string& out) {
  out += open;
  AppendJoined(node, between, out);
  out += close;
}

void Append(const Expression& node, std::string& out) {
  if (out.size() > kLongestText) return;
  switch (node.kind) {
    case Kind::kNumber:
      out += node.number.Text();
      return;
    case Kind::kSymbol:
      out += node.name;
      return;
    case Kind::kText:
      out += "\"" + node.name + "\"";
      return;
    case Kind::kSum:
      return AppendBracketed(node, "(", " + ", ")", out);
    case Kind::kProduct:
      return AppendBracketed(node, "(", "*", ")", out);
    case Kind::kPower:
      return AppendJoined(node, "^", out);
    case Kind::kFunction:
    case Kind::kCall:
      out += node.name;
      return AppendBracketed(node, "(", ", ", ")", out);
    case Kind::kPlusMinus:
      return AppendBracketed(node, node.name == "+" ? "±(" : "∓(", "", ")", out);
    case Kind::kQuantity:
      AppendJoined(node, "", out);
      out += " [" + node.name + "]";
      return;
    case Kind::kBased:
      AppendJoined(node, "", out);
      out += " (base " + node.name + ")";
      return;
    case Kind::kRelation:
      return AppendRelation(node, out);
    case Kind::kList:
      return AppendBracketed(node, "list(", ", ", ")", out);
    case Kind::kSet:
      return AppendBracketed(node, "{", ", ", "}", out);
    case Kind::kTuple:
      return AppendBracketed(node, node.name.substr(0, 1), ", ", node.name.substr(1), out);
    case Kind::kUnion:
      return AppendJoined(node, " " + node.name + " ", out);
    case Kind::kMatrix:
      out += node.name;
      return AppendBracketed(node, "[", ", ", "]", out);
  }
}

}  // namespace

bool Expression::operator==(const Expression& other) const {
  return kind == other.kind && name == other.name && number == other.number &&
         arguments == other.arguments;
}

Expression MakeNumber(Rational value) {
  Expression node;
  node.kind = Kind::kNumber;
  node.number = std::move(value);
  return node;
}

Expression MakeSymbol(std::string name) { return MakeNode(Kind::kSymbol, std::move(name), {}); }

Expression MakeSum(std::vector<Expression> terms) {
  if (terms.size() == 1) return std::move(terms[0]);
  return MakeNode(Kind::kSum, "", std::move(terms));
}

Expression MakeProduct(std::vector<Expression> factors) {
  if (factors.size() == 1) return std::move(factors[0]);
  return MakeNode(Kind::kProduct, "", std::move(factors));
}

Expression MakePower(Expression base, Expression exponent) {
  std::vector<Expression> arguments;
  arguments.push_back(std::move(base));
  arguments.push_back(std::move(exponent));
  return MakeNode(Kind::kPower, "", std::move(arguments));
}

Expression MakeNode(Kind kind, std::string name, std::vector<Expression> arguments) {
  Expression node;
  node.kind = kind;
  node.name = std::move(name);
  node.arguments = std::move(arguments);
  return node;
}

Expression Negated(Expression value) {
  if (value.kind == Kind::kNumber) {
    value.number = Rational() - value.number;
    return value;
  }
  if (value.kind == Kind::kQuantity) {
    value.arguments[0] = Negated(std::move(value.arguments[0]));
    return value;
  }
  std::vector<Expression> factors;
  factors.push_back(MakeNumber(Rational(-1)));
  factors.push_back(std::move(value));
  return MakeProduct(std::move(factors));
}

Expression Reciprocal(Expression value) {
  return MakePower(std::move(value), MakeNumber(Rational(-1)));
}

std::string Text(const Expression& expression) {
  std::string out;
  Append(expression, out);
  if (out.size() > kLongestText) out.resize(kLongestText);
  return out;
}

int64_t Size(const Expression& expression) {
  int64_t size = 1;
  for (const Expression& argument : expression.arguments) size += Size(argument);
  return size;
}

}  // namespace attnrl::verifier
