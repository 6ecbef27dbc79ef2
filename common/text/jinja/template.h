// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/text/jinja/evaluator.h"

namespace attnrl::text::jinja {

// A template in the part of Jinja that chat templates use, strict: what isn't supported is refused
// by its name and line, a statement when it is read, a filter, a test, a method or a function when
// it is reached. Immutable and thread-safe; copies share the parsed template.
//
//   ATTNRL_ASSIGN_OR_RETURN(Template greeting, Template::Parse("Hi {{ name }}!", "greeting"));
//   greeting.Render({{"name", Value(std::string("Mia"))}});   // "Hi Mia!"
class Template {
 public:
  // `where` names the source in errors, "<where>:<line>: ...". At most 1 MiB. InputError.
  static absl::StatusOr<Template> Parse(std::string_view source, std::string where);

  // InputError for what isn't supported or doesn't fit together, for raise_exception, and past the
  // limits of Budget.
  absl::StatusOr<std::string> Render(Variables variables) const;

 private:
  Template(std::shared_ptr<const Block> block, std::string where)
      : block_(std::move(block)), where_(std::move(where)) {}

  std::shared_ptr<const Block> block_;
  std::string where_;
};

}  // namespace attnrl::text::jinja
