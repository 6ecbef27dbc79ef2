// SPDX-License-Identifier: Apache-2.0
#include "common/text/jinja/operators.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/text/jinja/builtins.h"

namespace attnrl::text::jinja {
namespace {

absl::Status Unsupported(std::string_view symbol, const Value& left, const Value& right) {
  return InputError("",
                    absl::StrCat(std::string(left.kind()), " ", std::string(symbol), " ",
                                 std::string(right.kind())),
                    "numbers, texts or lists of one kind go together");
}

// Python's whole-number arithmetic, which rounds down.
absl::StatusOr<Value> Arithmetic(std::string_view symbol, int64_t left, int64_t right) {
  int64_t result = 0;
  bool overflow = false;
  if (symbol == "+") {
    overflow = __builtin_add_overflow(left, right, &result);
  } else if (symbol == "-") {
    overflow = __builtin_sub_overflow(left, right, &result);
  } else if (symbol == "*") {
    overflow = __builtin_mul_overflow(left, right, &result);
  } else {
    if (right == 0) return InputError("", "a division by 0", "another divisor");
    if (right == -1) return Arithmetic("-", 0, symbol == "%" ? 0 : left);
    const int64_t rest = ((left % right) + right) % right;
    result = symbol == "%" ? rest : (left - rest) / right;
  }
  if (overflow) return InputError("", "a number of 2^63 or more", "smaller numbers");
  return Value(result);
}

// -1, 0 or 1 by order. Bytes of UTF-8 have the order of their characters.
absl::StatusOr<int> Order(std::string_view symbol, const Value& left, const Value& right) {
  int64_t one = 0;
  int64_t other = 0;
  if (left.AsInteger(&one) && right.AsInteger(&other)) {
    return one < other ? -1 : one > other ? 1 : 0;
  }
  if (left.text() == nullptr || right.text() == nullptr) return Unsupported(symbol, left, right);
  return left.text()->compare(*right.text()) < 0   ? -1
         : left.text()->compare(*right.text()) > 0 ? 1
                                                   : 0;
}

absl::StatusOr<bool> Contains(const Value& whole, const Value& part) {
  if (whole.text() != nullptr) {
    if (part.text() == nullptr) return Unsupported("in", part, whole);
    return whole.text()->find(*part.text()) != std::string::npos;
  }
  if (whole.map() != nullptr) {
    const Map& map = *whole.map();
    return part.text() != nullptr &&
           std::any_of(map.begin(), map.end(),
                       [&part](const auto& entry) { return entry.first == *part.text(); });
  }
  if (whole.list() != nullptr) {
    const List& list = *whole.list();
    return std::any_of(list.begin(), list.end(),
                       [&part](const Value& element) { return Equal(element, part); });
  }
  if (whole.is_undefined()) return false;
  return Unsupported("in", part, whole);
}

absl::StatusOr<Value> Add(const Value& left, const Value& right, Budget* budget) {
  if (left.text() != nullptr && right.text() != nullptr) {
    ATTNRL_RETURN_IF_ERROR(budget->Bytes(left.text()->size() + right.text()->size()));
    return Value(*left.text() + *right.text());
  }
  if (left.list() != nullptr && right.list() != nullptr) {
    ATTNRL_RETURN_IF_ERROR(budget->Steps(left.list()->size() + right.list()->size()));
    List all = *left.list();
    all.insert(all.end(), right.list()->begin(), right.list()->end());
    return Value(std::move(all));
  }
  return Unsupported("+", left, right);
}

}  // namespace

absl::StatusOr<Value> Operate(std::string_view symbol, const Value& left, const Value& right,
                              Budget* budget) {
  if (symbol == "==") return Value(Equal(left, right));
  if (symbol == "!=") return Value(!Equal(left, right));
  if (symbol == "in" || symbol == "not in") {
    ATTNRL_ASSIGN_OR_RETURN(const bool contains, Contains(right, left));
    return Value(contains == (symbol == "in"));
  }
  if (symbol.starts_with("<") || symbol.starts_with(">")) {
    ATTNRL_ASSIGN_OR_RETURN(const int order, Order(symbol, left, right));
    if (order == 0) return Value(symbol.size() == 2);
    return Value((order < 0) == symbol.starts_with("<"));
  }
  if (symbol == "~") {
    ATTNRL_ASSIGN_OR_RETURN(std::string text, Written(left));
    ATTNRL_ASSIGN_OR_RETURN(const std::string more, Written(right));
    return Add(Value(std::move(text)), Value(more), budget);
  }
  int64_t one = 0;
  int64_t other = 0;
  if (left.AsInteger(&one) && right.AsInteger(&other)) return Arithmetic(symbol, one, other);
  if (symbol == "+") return Add(left, right, budget);
  return Unsupported(symbol, left, right);
}

}  // namespace attnrl::text::jinja
