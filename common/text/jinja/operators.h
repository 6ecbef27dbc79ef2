// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "common/text/jinja/budget.h"
#include "common/text/jinja/value.h"

namespace attnrl::text::jinja {

// `left symbol right` for comparisons, "in", "not in", + - ~ * // and %, as Python has them. An
// InputError without a place for operands that don't go together.
absl::StatusOr<Value> Operate(std::string_view symbol, const Value& left, const Value& right,
                              Budget* budget);

}  // namespace attnrl::text::jinja
