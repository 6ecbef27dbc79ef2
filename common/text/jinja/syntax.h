// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/text/jinja/value.h"

namespace attnrl::text::jinja {

// A part of an expression. `parts` by kind; those in brackets may be null:
//   kLiteral      none: `value`
//   kName         none: `text`
//   kList         its elements
//   kMap          key, value, key, value, ..
//   kAttribute    the object; `text` is the attribute
//   kItem         the object, the key
//   kSlice        the object, [begin], [end], [step]
//   kCall         the callee, then arguments as `arguments` names them
//   kFilter       the object, then arguments; `text` is the filter
//   kTest         the object, then arguments; `text` is the test
//   kNot, kMinus  one operand
//   kBinary       two operands; `text` is the operator, "and", "or", "in" and "not in" too
//   kConditional  the condition, the value, [the other value]
struct Expression {
  enum class Kind : uint8_t {
    kLiteral,
    kName,
    kList,
    kMap,
    kAttribute,
    kItem,
    kSlice,
    kCall,
    kFilter,
    kTest,
    kNot,
    kMinus,
    kBinary,
    kConditional,
  };
  Kind kind = Kind::kLiteral;
  int64_t line = 0;
  std::string text = {};
  Value value = {};
  std::vector<std::unique_ptr<Expression>> parts = {};
  std::vector<std::string> arguments = {};  // of parts[1..]: keywords, empty for those by position
};

struct Statement;
using Block = std::vector<Statement>;

//   kText      `text` as it is
//   kOutput    `expression`
//   kIf        `expression`, `body`, `otherwise` (an elif is an if in it)
//   kFor       `targets` in `expression` [if `condition`], `body`, `otherwise`
//   kSet       `targets` to `expression`; a target "ns.x" has a point
//   kBreak, kContinue
struct Statement {
  enum class Kind : uint8_t { kText, kOutput, kIf, kFor, kSet, kBreak, kContinue };
  Kind kind = Kind::kText;
  int64_t line = 0;
  std::string text = {};
  std::vector<std::string> targets = {};
  std::unique_ptr<Expression> expression = {};
  std::unique_ptr<Expression> condition = {};
  Block body = {};
  Block otherwise = {};
};

}  // namespace attnrl::text::jinja
