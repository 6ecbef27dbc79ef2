// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace attnrl {

// What the user gave us is wrong: kInvalidArgument with the message
// "<where>: <what>; <allowed>". `where` is file:line, a key or a flag. Tools print it behind
// "error: " and exit with 2; every other status exits with 1.
absl::Status InputError(std::string_view where, std::string_view what, std::string_view allowed);

// True for statuses made by InputError (and whatever else is the caller's mistake).
bool IsInputError(const absl::Status& status);

// The same status with "<prefix>: " before its message; an OK status stays OK.
absl::Status Annotate(const absl::Status& status, std::string_view prefix);

// A message on one line and at most `limit` bytes long: control characters are escaped, so that
// model text in a log can't forge a line.
std::string OneLine(std::string_view text, size_t limit = 200);

// For a terminal: control characters other than line breaks and tabs are escaped, those that UTF-8
// spells in two bytes (U+0080 to U+009F) too, so that a text can't give the terminal commands.
std::string Escaped(std::string_view text);

}  // namespace attnrl

#define ATTNRL_RETURN_IF_ERROR(expr)                                                       \
  do {                                                                                     \
    if (absl::Status attnrl_status_ = (expr); !attnrl_status_.ok()) return attnrl_status_; \
  } while (false)

#define ATTNRL_CONCAT_INNER_(a, b) a##b
#define ATTNRL_CONCAT_(a, b) ATTNRL_CONCAT_INNER_(a, b)
// ATTNRL_ASSIGN_OR_RETURN(auto x, StatusOrExpression());
#define ATTNRL_ASSIGN_OR_RETURN(lhs, expr) \
  ATTNRL_ASSIGN_OR_RETURN_IMPL_(ATTNRL_CONCAT_(attnrl_statusor_, __LINE__), lhs, expr)
#define ATTNRL_ASSIGN_OR_RETURN_IMPL_(name, lhs, expr) \
  auto name = (expr);                                  \
  if (!name.ok()) return std::move(name).status();     \
  lhs = *std::move(name)
