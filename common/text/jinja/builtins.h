// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/text/jinja/budget.h"
#include "common/text/jinja/value.h"

namespace attnrl::text::jinja {

// Filters, tests and methods, as Jinja and Python have them. Arguments are by position. An
// InputError names what isn't supported, and has no place: the evaluator adds it.

absl::StatusOr<Value> ApplyFilter(std::string_view name, const Value& value,
                                  const std::vector<Value>& arguments, Budget* budget);
absl::StatusOr<bool> ApplyTest(std::string_view name, const Value& value,
                               const std::vector<Value>& arguments);
absl::StatusOr<Value> CallMethod(std::string_view name, const Value& object,
                                 const std::vector<Value>& arguments, Budget* budget);

// What {{ value }} writes.
absl::StatusOr<std::string> Written(const Value& value);

// `object[begin:end:step]` of a list or of the characters of a text; undefined parts are missing.
absl::StatusOr<Value> Slice(const Value& object, const Value& begin, const Value& end,
                            const Value& step, Budget* budget);

// The characters of a text. `text` must outlive them.
std::vector<std::string_view> Characters(std::string_view text);

}  // namespace attnrl::text::jinja
