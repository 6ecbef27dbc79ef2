// SPDX-License-Identifier: Apache-2.0
#include "common/text/jinja/evaluator.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/text/jinja/builtins.h"
#include "common/text/jinja/operators.h"

namespace attnrl::text::jinja {
namespace {

constexpr int64_t kMaxRange = 100'000;  // that of Jinja's own sandbox

// What a loop's body sees as `loop`.
Value LoopState(const List& elements, size_t index) {
  const auto i = static_cast<int64_t>(index);
  const auto size = static_cast<int64_t>(elements.size());
  return Value(Map{{"index", Value(i + 1)},
                   {"index0", Value(i)},
                   {"revindex", Value(size - i)},
                   {"revindex0", Value(size - i - 1)},
                   {"first", Value(i == 0)},
                   {"last", Value(i + 1 == size)},
                   {"length", Value(size)},
                   {"previtem", index > 0 ? elements[index - 1] : Value()},
                   {"nextitem", index + 1 < elements.size() ? elements[index + 1] : Value()}});
}

}  // namespace

absl::Status Evaluator::At(int64_t line, const absl::Status& status) const {
  // Errors of the parts below have no place yet: ": <what>; <allowed>".
  std::string_view message(status.message().data(), status.message().size());
  const std::string place = absl::StrCat(where_, ":", line);
  if (message.starts_with(where_)) return status;
  if (message.starts_with(": ")) message.remove_prefix(2);
  return {status.code(), absl::StrCat(place, ": ", std::string(message))};
}

Value Evaluator::Lookup(const std::string& name) const {
  for (size_t i = scopes_.size(); i > 0; --i) {
    const auto found = scopes_[i - 1].find(name);
    if (found != scopes_[i - 1].end()) return found->second;
  }
  return {};
}

absl::Status Evaluator::Write(const std::string& text) {
  ATTNRL_RETURN_IF_ERROR(budget_.Bytes(text.size()));
  out_ += text;
  return absl::OkStatus();
}

absl::StatusOr<std::string> Evaluator::Run(const Block& block) {
  ATTNRL_RETURN_IF_ERROR(Execute(block).status());
  return std::move(out_);
}

absl::StatusOr<Evaluator::Flow> Evaluator::Execute(const Block& block) {
  for (const Statement& statement : block) {
    const absl::StatusOr<Flow> flow = Execute(statement);
    if (!flow.ok()) return At(statement.line, flow.status());
    if (*flow != Flow::kOn) return *flow;
  }
  return Flow::kOn;
}

absl::StatusOr<Evaluator::Flow> Evaluator::Execute(const Statement& statement) {
  ATTNRL_RETURN_IF_ERROR(budget_.Steps(1));
  switch (statement.kind) {
    case Statement::Kind::kText:
      ATTNRL_RETURN_IF_ERROR(Write(statement.text));
      return Flow::kOn;
    case Statement::Kind::kOutput: {
      ATTNRL_ASSIGN_OR_RETURN(const Value value, Evaluate(*statement.expression));
      ATTNRL_ASSIGN_OR_RETURN(const std::string text, Written(value));
      ATTNRL_RETURN_IF_ERROR(Write(text));
      return Flow::kOn;
    }
    case Statement::Kind::kIf: {
      ATTNRL_ASSIGN_OR_RETURN(const Value value, Evaluate(*statement.expression));
      return Execute(value.IsTrue() ? statement.body : statement.otherwise);
    }
    case Statement::Kind::kFor:
      return Loop(statement);
    case Statement::Kind::kSet: {
      ATTNRL_ASSIGN_OR_RETURN(const Value value, Evaluate(*statement.expression));
      ATTNRL_RETURN_IF_ERROR(Assign(statement, value));
      return Flow::kOn;
    }
    case Statement::Kind::kBreak:
      return Flow::kBreak;
    case Statement::Kind::kContinue:
      return Flow::kContinue;
  }
  return absl::InternalError("unknown statement");
}

absl::StatusOr<List> Evaluator::Elements(const Statement& statement) {
  ATTNRL_ASSIGN_OR_RETURN(const Value whole, Evaluate(*statement.expression));
  List all;
  if (whole.list() != nullptr) {
    all = *whole.list();
  } else if (whole.map() != nullptr) {
    for (const auto& [key, value] : *whole.map()) all.emplace_back(key);
  } else if (!whole.is_undefined()) {
    return InputError("", absl::StrCat("a loop over ", std::string(whole.kind())),
                      "lists and maps can be looped over");
  }
  ATTNRL_RETURN_IF_ERROR(budget_.Steps(all.size()));
  if (statement.condition == nullptr) return all;
  List chosen;
  for (const Value& element : all) {
    scopes_.emplace_back();
    const absl::Status assigned = Assign(statement, element);
    const absl::StatusOr<Value> taken = Evaluate(*statement.condition);
    scopes_.pop_back();
    ATTNRL_RETURN_IF_ERROR(assigned);
    ATTNRL_RETURN_IF_ERROR(taken.status());
    if (taken->IsTrue()) chosen.push_back(element);
  }
  return chosen;
}

absl::StatusOr<Evaluator::Flow> Evaluator::Loop(const Statement& statement) {
  ATTNRL_ASSIGN_OR_RETURN(const List elements, Elements(statement));
  if (elements.empty()) return Execute(statement.otherwise);
  for (size_t i = 0; i < elements.size(); ++i) {
    scopes_.emplace_back();
    scopes_.back()["loop"] = LoopState(elements, i);
    const absl::Status assigned = Assign(statement, elements[i]);
    const absl::StatusOr<Flow> flow =
        assigned.ok() ? Execute(statement.body) : absl::StatusOr<Flow>(assigned);
    scopes_.pop_back();
    if (!flow.ok()) return flow;
    if (*flow == Flow::kBreak) break;
  }
  return Flow::kOn;
}

absl::Status Evaluator::Assign(const Statement& statement, const Value& value) {
  const std::vector<std::string>& targets = statement.targets;
  if (targets.size() == 1) return AssignOne(targets.front(), value);
  if (value.list() == nullptr || value.list()->size() != targets.size()) {
    return InputError("",
                      absl::StrCat(std::string(value.kind()), " for ", targets.size(), " names"),
                      "a list with one element for each");
  }
  for (size_t i = 0; i < targets.size(); ++i) {
    ATTNRL_RETURN_IF_ERROR(AssignOne(targets[i], (*value.list())[i]));
  }
  return absl::OkStatus();
}

absl::Status Evaluator::AssignOne(const std::string& target, const Value& value) {
  const size_t point = target.find('.');
  if (point == std::string::npos) {
    scopes_.back()[target] = value;
    return absl::OkStatus();
  }
  const Value object = Lookup(target.substr(0, point));
  if (object.names() == nullptr) {
    return InputError("", absl::StrCat("{% set ", target, " %} for ", std::string(object.kind())),
                      "only what namespace() made has attributes that can be set");
  }
  (*object.names())[target.substr(point + 1)] = value;
  return absl::OkStatus();
}

absl::StatusOr<Value> Evaluator::Evaluate(const Expression& node) {
  ATTNRL_RETURN_IF_ERROR(budget_.Steps(1));
  absl::StatusOr<Value> value = EvaluateParts(node);
  if (!value.ok()) return At(node.line, value.status());
  return value;
}

absl::StatusOr<Value> Evaluator::EvaluateParts(const Expression& node) {
  using Kind = Expression::Kind;
  switch (node.kind) {
    case Kind::kLiteral:
      return node.value;
    case Kind::kName:
      return Lookup(node.text);
    case Kind::kBinary:
      return Binary(node);
    case Kind::kCall:
      return Call(node);
    case Kind::kConditional: {
      ATTNRL_ASSIGN_OR_RETURN(const Value condition, Evaluate(*node.parts[0]));
      if (condition.IsTrue()) return Evaluate(*node.parts[1]);
      return node.parts[2] == nullptr ? Value() : Evaluate(*node.parts[2]);
    }
    case Kind::kNot: {
      ATTNRL_ASSIGN_OR_RETURN(const Value operand, Evaluate(*node.parts[0]));
      return Value(!operand.IsTrue());
    }
    case Kind::kMinus: {
      ATTNRL_ASSIGN_OR_RETURN(const Value operand, Evaluate(*node.parts[0]));
      return Operate("-", Value(int64_t{0}), operand, &budget_);
    }
    default:
      break;
  }
  // The others need the values of all their parts.
  List parts;
  for (const std::unique_ptr<Expression>& part : node.parts) {
    if (part == nullptr) {
      parts.emplace_back();
      continue;
    }
    ATTNRL_ASSIGN_OR_RETURN(Value value, Evaluate(*part));
    parts.push_back(std::move(value));
  }
  switch (node.kind) {
    case Kind::kList:
      return Value(std::move(parts));
    case Kind::kMap: {
      Map map;
      for (size_t i = 0; i < parts.size(); i += 2) {
        if (parts[i].text() == nullptr) return InputError("", "a key that is no text", "a text");
        map.emplace_back(*parts[i].text(), parts[i + 1]);
      }
      return Value(std::move(map));
    }
    case Kind::kAttribute:
      return Attribute(parts[0], node.text);
    case Kind::kItem:
      return Item(parts[0], parts[1]);
    case Kind::kSlice:
      return Slice(parts[0], parts[1], parts[2], parts[3], &budget_);
    default:
      break;
  }
  ATTNRL_ASSIGN_OR_RETURN(const std::vector<Value> arguments, Arguments(node));
  if (node.kind == Kind::kFilter) return ApplyFilter(node.text, parts[0], arguments, &budget_);
  ATTNRL_ASSIGN_OR_RETURN(const bool passed, ApplyTest(node.text, parts[0], arguments));
  return Value(passed);
}

absl::StatusOr<Value> Evaluator::Binary(const Expression& node) {
  ATTNRL_ASSIGN_OR_RETURN(const Value left, Evaluate(*node.parts[0]));
  // As in Python, these give one of their operands.
  if (node.text == "and" && !left.IsTrue()) return left;
  if (node.text == "or" && left.IsTrue()) return left;
  ATTNRL_ASSIGN_OR_RETURN(const Value right, Evaluate(*node.parts[1]));
  if (node.text == "and" || node.text == "or") return right;
  return Operate(node.text, left, right, &budget_);
}

absl::StatusOr<Value> Evaluator::Attribute(const Value& object, const std::string& name) {
  if (object.map() != nullptr) return Get(*object.map(), name);
  if (object.names() != nullptr) {
    const auto found = object.names()->find(name);
    return found == object.names()->end() ? Value() : found->second;
  }
  if (object.is_undefined()) {
    return InputError("", absl::StrCat("the attribute ", name, " of an undefined value"),
                      "a value that is defined");
  }
  return Value();
}

absl::StatusOr<Value> Evaluator::Item(const Value& object, const Value& key) {
  if (key.text() != nullptr) return Attribute(object, *key.text());
  int64_t index = 0;
  if (object.is_undefined()) return Attribute(object, "[]");
  if (!key.AsInteger(&index)) return Value();
  const bool is_list = object.list() != nullptr;
  const std::vector<std::string_view> characters =
      object.text() != nullptr ? Characters(*object.text()) : std::vector<std::string_view>();
  const size_t size = is_list ? object.list()->size() : characters.size();
  if (index < 0) index += static_cast<int64_t>(size);
  if (index < 0 || index >= static_cast<int64_t>(size)) return Value();
  const auto at = static_cast<size_t>(index);
  return is_list ? (*object.list())[at] : Value(std::string(characters[at]));
}

absl::StatusOr<std::vector<Value>> Evaluator::Arguments(const Expression& node) {
  std::vector<Value> values;
  for (size_t i = 0; i < node.arguments.size(); ++i) {
    if (!node.arguments[i].empty()) {
      return InputError("", absl::StrCat("the argument ", node.arguments[i], "="),
                        "arguments by position are supported here");
    }
    ATTNRL_ASSIGN_OR_RETURN(Value value, Evaluate(*node.parts[i + 1]));
    values.push_back(std::move(value));
  }
  return values;
}

absl::StatusOr<Value> Evaluator::Call(const Expression& node) {
  const Expression& callee = *node.parts[0];
  if (callee.kind == Expression::Kind::kName) return Function(callee.text, node);
  if (callee.kind != Expression::Kind::kAttribute) {
    return InputError("", "a call of a value", "functions and methods can be called");
  }
  ATTNRL_ASSIGN_OR_RETURN(const Value object, Evaluate(*callee.parts[0]));
  ATTNRL_ASSIGN_OR_RETURN(const std::vector<Value> arguments, Arguments(node));
  return CallMethod(callee.text, object, arguments, &budget_);
}

absl::StatusOr<Value> Evaluator::Function(const std::string& name, const Expression& node) {
  if (name == "namespace") {
    auto names = std::make_shared<Namespace>();
    for (size_t i = 0; i < node.arguments.size(); ++i) {
      if (node.arguments[i].empty()) {
        return InputError("", "an argument of namespace without a name", "name=value");
      }
      ATTNRL_ASSIGN_OR_RETURN((*names)[node.arguments[i]], Evaluate(*node.parts[i + 1]));
    }
    return Value(std::move(names));
  }
  ATTNRL_ASSIGN_OR_RETURN(const std::vector<Value> arguments, Arguments(node));
  if (name == "raise_exception") {
    ATTNRL_ASSIGN_OR_RETURN(const std::string why,
                            Written(arguments.empty() ? Value() : arguments.front()));
    return InputError("", absl::StrCat("the template refuses the conversation: ", OneLine(why)),
                      "messages that it takes");
  }
  if (name == "range" && arguments.size() <= 2 && !arguments.empty()) {
    int64_t begin = 0;
    int64_t end = 0;
    const bool numbers = arguments.back().AsInteger(&end) &&
                         (arguments.size() == 1 || arguments.front().AsInteger(&begin));
    if (!numbers || begin < -kMaxRange || end > kMaxRange) {
      return InputError("", "a range", absl::StrCat("whole numbers up to ", kMaxRange));
    }
    List list;
    for (; begin < end; ++begin) list.emplace_back(begin);
    ATTNRL_RETURN_IF_ERROR(budget_.Steps(list.size()));
    return Value(std::move(list));
  }
  return InputError("", absl::StrCat("the function ", OneLine(name, 40)),
                    "namespace, range and raise_exception are supported");
}

}  // namespace attnrl::text::jinja
