// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/text/jinja/syntax.h"

namespace attnrl::text::jinja {

// Reads a template: text, {{ }}, {# #}, and the statements for, if, set, break, continue and
// generation (whose content is written as if its tags weren't there). InputError at `where`:line
// for other statements, by their names, and for what is no template.
absl::StatusOr<Block> ParseTemplate(std::string_view source, const std::string& where);

}  // namespace attnrl::text::jinja
