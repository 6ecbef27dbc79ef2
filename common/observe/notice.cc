// SPDX-License-Identifier: Apache-2.0
#include "common/observe/notice.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/json/json.h"

namespace attnrl::observe {

std::optional<Notice> ParseNotice(std::string_view line) {
  if (line.find("\"notice\":true") == std::string_view::npos) return std::nullopt;  // most lines
  const nlohmann::ordered_json record = ParseOrderedJson(line).value_or(nullptr);
  const auto member = [&record](const char* name) {
    const auto found = record.find(name);  // the end where it is no object
    return found == record.end() ? nlohmann::ordered_json() : *found;
  };
  if (member("notice") != true || !member("message").is_string()) return std::nullopt;
  Notice notice{.message = member("message").get<std::string>(), .details = ""};
  const nlohmann::ordered_json fields = member("fields");
  if (!fields.is_object()) return notice;
  for (const auto& [name, value] : fields.items()) {
    absl::StrAppend(&notice.details, notice.details.empty() ? "" : ", ",
                    absl::StrReplaceAll(name, {{"_", " "}}), " ",
                    value.is_string() ? value.get<std::string>() : PrintJson(value));
  }
  return notice;
}

}  // namespace attnrl::observe
