// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "common/text/jinja/syntax.h"
#include "common/text/jinja/token_reader.h"

namespace attnrl::text::jinja {

// Parts of an expression may lie in each other this deep.
inline constexpr int kMaxDepth = 64;

// Reads one expression with Jinja's precedences, from the weakest: a if b else c, or, and, not,
// comparisons (one, no chains), + and -, ~, * and // and %, a sign, filters and tests.
// `with_conditional` is off where a following `if` belongs to the statement. InputError at the line
// of what isn't supported, by its name.
absl::StatusOr<std::unique_ptr<Expression>> ParseExpression(TokenReader& tokens,
                                                            bool with_conditional = true);

}  // namespace attnrl::text::jinja
