// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/text/jinja/budget.h"
#include "common/text/jinja/syntax.h"

namespace attnrl::text::jinja {

using Variables = std::map<std::string, Value>;

// One rendering of a template. A {% for %} has a scope for each turn, so what it sets ends with it;
// an {% if %} has none. InputErrors stand at `where`:line, also those of raise_exception.
class Evaluator {
 public:
  Evaluator(const std::string& where, Variables variables)
      : where_(where), scopes_{std::move(variables)} {}

  absl::StatusOr<std::string> Run(const Block& block);

 private:
  enum class Flow { kOn, kBreak, kContinue };

  absl::StatusOr<Flow> Execute(const Block& block);
  absl::StatusOr<Flow> Execute(const Statement& statement);
  absl::StatusOr<Flow> Loop(const Statement& statement);
  // The elements that a loop takes, after its own `if`.
  absl::StatusOr<List> Elements(const Statement& statement);
  absl::Status Assign(const Statement& statement, const Value& value);
  absl::Status AssignOne(const std::string& target, const Value& value);
  absl::Status Write(const std::string& text);

  absl::StatusOr<Value> Evaluate(const Expression& node);
  absl::StatusOr<Value> EvaluateParts(const Expression& node);
  absl::StatusOr<Value> Binary(const Expression& node);
  absl::StatusOr<Value> Attribute(const Value& object, const std::string& name);
  absl::StatusOr<Value> Item(const Value& object, const Value& key);
  absl::StatusOr<Value> Call(const Expression& node);
  absl::StatusOr<Value> Function(const std::string& name, const Expression& node);
  // The arguments of a call, a filter or a test, none of which may have a keyword.
  absl::StatusOr<std::vector<Value>> Arguments(const Expression& node);
  Value Lookup(const std::string& name) const;

  absl::Status At(int64_t line, const absl::Status& status) const;

  const std::string& where_;
  std::vector<Variables> scopes_;
  Budget budget_;
  std::string out_;
};

}  // namespace attnrl::text::jinja
