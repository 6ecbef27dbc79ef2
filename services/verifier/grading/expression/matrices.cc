// SPDX-License-Identifier: Apache-2.0
#include "services/verifier/grading/expression/matrices.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace attnrl::verifier {
namespace {

using Matrix = std::optional<Expression>;
using Members = std::vector<Expression>;

bool IsMatrix(const Expression& node) {
  return node.kind == Kind::kMatrix && node.name == "matrix" &&
         std::all_of(node.arguments.begin(), node.arguments.end(), [&](const Expression& row) {
           return row.arguments.size() == node.arguments[0].arguments.size();
         });
}

// A number or an expression of variables; not A, which may be a matrix.
bool IsScalar(const Expression& node) {
  switch (node.kind) {
    case Kind::kNumber:
      return true;
    case Kind::kSymbol:
      return !(node.name[0] >= 'A' && node.name[0] <= 'Z') && node.name != "\\infty" &&
             node.name.find('{') == std::string::npos;
    case Kind::kSum:
    case Kind::kProduct:
    case Kind::kPower:
    case Kind::kFunction:
      return std::all_of(node.arguments.begin(), node.arguments.end(), IsScalar);
    default:
      return false;
  }
}

size_t Rows(const Expression& matrix) { return matrix.arguments.size(); }
size_t Columns(const Expression& matrix) { return matrix.arguments[0].arguments.size(); }
const Expression& Entry(const Expression& matrix, size_t row, size_t column) {
  return matrix.arguments[row].arguments[column];
}

// The matrix of entry(row, column).
template <typename MakeEntry>
Matrix Filled(size_t rows, size_t columns, MakeEntry entry) {
  Expression matrix = MakeNode(Kind::kMatrix, "matrix", {});
  for (size_t row = 0; row < rows; ++row) {
    Expression made = MakeNode(Kind::kTuple, "row", {});
    for (size_t column = 0; column < columns; ++column) {
      made.arguments.push_back(entry(row, column));
    }
    matrix.arguments.push_back(std::move(made));
  }
  return matrix;
}

Matrix Sum(const Members& terms, Work& work) {
  for (const Expression& term : terms) {
    if (!work.Spend(kCopyWork * Size(term))) return std::nullopt;
    if (!IsMatrix(term) || Rows(term) != Rows(terms[0]) || Columns(term) != Columns(terms[0])) {
      return std::nullopt;
    }
  }
  return Filled(Rows(terms[0]), Columns(terms[0]), [&](size_t row, size_t column) {
    Members entries;
    for (const Expression& term : terms) entries.push_back(Entry(term, row, column));
    return MakeSum(std::move(entries));
  });
}

// Its entries grow with each factor, so it is paid for before.
Matrix Product(const Expression& a, const Expression& b, Work& work) {
  if (Columns(a) != Rows(b)) return std::nullopt;
  const auto columns = static_cast<int64_t>(Columns(b));
  if (!work.Spend(kCopyWork * (Size(a) * columns + Size(b) * static_cast<int64_t>(Rows(a))))) {
    return std::nullopt;
  }
  return Filled(Rows(a), Columns(b), [&](size_t row, size_t column) {
    Members terms;
    for (size_t i = 0; i < Rows(b); ++i) {
      terms.push_back(MakeProduct({Entry(a, row, i), Entry(b, i, column)}));
    }
    return MakeSum(std::move(terms));
  });
}

Matrix Product(const Members& factors, Work& work) {
  Members scalars;
  Matrix product;
  for (const Expression& factor : factors) {
    if (IsMatrix(factor)) {
      product = product ? Product(*product, factor, work) : factor;
      if (!product) return std::nullopt;
    } else if (IsScalar(factor)) {
      scalars.push_back(factor);
    } else {
      return std::nullopt;
    }
  }
  if (!product || scalars.empty()) return product;
  const Expression scalar = MakeProduct(std::move(scalars));
  const auto entries = static_cast<int64_t>(Rows(*product) * Columns(*product));
  if (!work.Spend(kCopyWork * (Size(scalar) * entries + Size(*product)))) return std::nullopt;
  return Filled(Rows(*product), Columns(*product), [&](size_t row, size_t column) {
    return MakeProduct({scalar, Entry(*product, row, column)});
  });
}

Matrix Power(const Expression& matrix, const Expression& exponent, Work& work) {
  if (exponent.kind == Kind::kSymbol && (exponent.name == "T" || exponent.name == "\\top")) {
    return Filled(Columns(matrix), Rows(matrix),
                  [&](size_t row, size_t column) { return Entry(matrix, column, row); });
  }
  constexpr int64_t kLargest = 6;
  int64_t power = 0;
  if (exponent.kind != Kind::kNumber || !exponent.number.ToInteger(kLargest, &power) || power < 1) {
    return std::nullopt;
  }
  return Product(Members(static_cast<size_t>(power), matrix), work);
}

Matrix WorkedOut(const Expression& node, Work& work) {
  if (node.kind == Kind::kSum) return Sum(node.arguments, work);
  if (node.kind == Kind::kProduct) return Product(node.arguments, work);
  if (node.kind == Kind::kPower && IsMatrix(node.arguments[0])) {
    return Power(node.arguments[0], node.arguments[1], work);
  }
  return std::nullopt;
}

// Whether there is a matrix in it, which is then worked out.
bool WorkOut(Expression& node, Work& work) {
  bool matrix = node.kind == Kind::kMatrix;
  for (Expression& argument : node.arguments) matrix |= WorkOut(argument, work);
  if (!matrix || work.exhausted()) return matrix;
  if (Matrix value = WorkedOut(node, work)) node = *std::move(value);
  return true;
}

}  // namespace

Expression WithMatricesWorkedOut(Expression expression, Work& work) {
  WorkOut(expression, work);
  return expression;
}

}  // namespace attnrl::verifier
