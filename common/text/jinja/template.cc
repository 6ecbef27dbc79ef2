// SPDX-License-Identifier: Apache-2.0
#include "common/text/jinja/template.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/text/jinja/parser.h"

namespace attnrl::text::jinja {
namespace {
constexpr size_t kMaxSource = size_t{1} << 20;
}

absl::StatusOr<Template> Template::Parse(std::string_view source, std::string where) {
  if (source.size() > kMaxSource) {
    return InputError(where, absl::StrCat("a template of ", source.size(), " bytes"),
                      absl::StrCat("at most ", kMaxSource));
  }
  ATTNRL_ASSIGN_OR_RETURN(Block block, ParseTemplate(source, where));
  return Template(std::make_shared<const Block>(std::move(block)), std::move(where));
}

absl::StatusOr<std::string> Template::Render(Variables variables) const {
  return Evaluator(where_, std::move(variables)).Run(*block_);
}

}  // namespace attnrl::text::jinja
