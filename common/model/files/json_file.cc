// SPDX-License-Identifier: Apache-2.0
#include "common/model/files/json_file.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/lfs_pointer.h"
#include "common/base/status.h"
#include "common/json/json.h"
#include "common/storage/files.h"

namespace attnrl::model {

using nlohmann::json;

absl::StatusOr<JsonFile> JsonFile::Read(const std::string& path) {
  const absl::StatusOr<std::string> text = storage::ReadFile(path);
  if (!text.ok()) {
    return InputError(path,
                      absl::IsNotFound(text.status())
                          ? "no such file"
                          : absl::StrCat("can't be read: ", std::string(text.status().message())),
                      "a Hugging Face model folder is needed");
  }
  ATTNRL_RETURN_IF_ERROR(RefuseLfsPointer(path, *text));
  JsonFault fault;
  absl::StatusOr<json> value = ParseJson(*text, &fault);
  if (!value.ok()) {
    if (fault.kind == JsonFault::Kind::kDepth) return Annotate(value.status(), path);
    return InputError(path, "is not JSON", "a JSON object is needed");
  }
  if (!value->is_object()) return InputError(path, "is not an object", "a JSON object is needed");
  return JsonFile(path, *std::move(value));
}

const json* JsonFile::Find(std::string_view key) const {
  const auto found = value_.find(key);
  return found == value_.end() || found->is_null() ? nullptr : &*found;
}

absl::StatusOr<int64_t> JsonFile::Size(std::string_view key, int64_t max,
                                       std::optional<int64_t> otherwise) const {
  const json* value = Find(key);
  const std::string allowed = absl::StrCat("a whole number from 1 to ", max, " is needed");
  if (value == nullptr) {
    if (otherwise.has_value()) return *otherwise;
    return Error(key, "is missing", allowed);
  }
  if (!value->is_number_integer() || *value < 1 || *value > max) {
    return Error(key, absl::StrCat("is ", OneLine(PrintJson(*value), 60)), allowed);
  }
  return value->get<int64_t>();
}

absl::StatusOr<double> JsonFile::PositiveNumber(std::string_view key, double otherwise) const {
  const json* value = Find(key);
  if (value == nullptr) return otherwise;
  const double number = value->is_number() ? value->get<double>() : 0;
  if (!std::isfinite(number) || number <= 0) {
    return Error(key, absl::StrCat("is ", OneLine(PrintJson(*value), 60)),
                 "a number above 0 is needed");
  }
  return number;
}

absl::StatusOr<bool> JsonFile::Bool(std::string_view key, bool otherwise) const {
  const json* value = Find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) {
    return Error(key, absl::StrCat("is ", OneLine(PrintJson(*value), 60)),
                 "true or false is needed");
  }
  return value->get<bool>();
}

absl::Status JsonFile::Error(std::string_view key, std::string_view what,
                             std::string_view allowed) const {
  return InputError(path_, absl::StrCat(prefix_, std::string(key), " ", std::string(what)),
                    allowed);
}

}  // namespace attnrl::model
