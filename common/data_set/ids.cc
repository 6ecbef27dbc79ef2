// SPDX-License-Identifier: Apache-2.0
#include "common/data_set/ids.h"

#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/json/json.h"

namespace attnrl::data_set {
namespace {

const std::vector<std::string>& RecognisedIds() {
  static const auto* names =
      new std::vector<std::string>{"id", "unique_id", "ID", "extra_info.index"};
  return *names;
}

std::optional<Field> FindId(const nlohmann::json& record, const FieldNames& names) {
  if (!names.id.empty()) {
    std::optional<Field> field = FindField(record, names.id);
    if (field.has_value() || !names.or_recognised) return field;
  }
  for (const std::string& name : RecognisedIds()) {
    if (std::optional<Field> field = FindField(record, name)) return field;
  }
  return std::nullopt;
}

// A number is as good an id as a text.
absl::StatusOr<std::string> ReadId(const storage::JsonLine& line, const Field& field) {
  if (field.value->is_number_integer()) return PrintJson(*field.value);
  if (!field.value->is_string()) {
    return WrongType(line, field, "a text or a whole number is needed");
  }
  const auto& id = field.value->get_ref<const std::string&>();
  if (!id.empty()) return id;
  return storage::BadRecord(line, absl::StrCat("field \"", OneLine(field.name, 40), "\" is empty"),
                            "a unique id is needed");
}

}  // namespace

absl::StatusOr<std::string> Ids::Next(const storage::JsonLine& line) {
  const std::optional<Field> field = FindId(line.value, names_);
  const bool configured = !names_.id.empty() && !names_.or_recognised;
  if (!field.has_value() && configured) {
    return Missing(line, "id", {names_.id}, names_, /*configured=*/true);
  }
  if (first_.empty()) {
    first_ = line.where;
    named_ = field.has_value();
  }
  if (field.has_value() != named_) return OneIsMissing(line);
  if (!named_) {
    return line.record > 0 ? absl::StrCat("record-", line.record)
                           : absl::StrCat("line-", line.line);
  }
  ATTNRL_ASSIGN_OR_RETURN(std::string id, ReadId(line, *field));
  const auto [first, fresh] = where_of_id_.emplace(id, line.where);
  if (!fresh) {
    return InputError(line.where, absl::StrCat("id \"", OneLine(id), "\" is used twice"),
                      absl::StrCat("ids must be unique; the other one is at ", first->second));
  }
  return id;
}

absl::Status Ids::OneIsMissing(const storage::JsonLine& line) const {
  if (named_) {
    const absl::Status missing = Missing(line, "id", RecognisedIds(), names_, /*configured=*/false);
    return absl::Status(missing.code(), absl::StrCat(std::string(missing.message()),
                                                     "; the record at ", first_, " has one"));
  }
  return InputError(line.where, "this record has an id, but the first one has none",
                    absl::StrCat("all records have an id or none; the first one is at ", first_));
}

}  // namespace attnrl::data_set
