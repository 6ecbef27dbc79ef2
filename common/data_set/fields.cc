// SPDX-License-Identifier: Apache-2.0
#include "common/data_set/fields.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/nearest.h"
#include "common/base/status.h"
#include "common/json/json.h"

namespace attnrl::data_set {
namespace {

using nlohmann::json;

// Of names that are shown in an error.
constexpr size_t kMostNames = 12;
constexpr size_t kLongestName = 40;

std::vector<std::string> KeysOf(const json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.push_back(key);
  return keys;
}

// How far a name leads: the last object on its way, and what of the name was used up.
struct Way {
  const json* object;
  std::string used;
  std::string rest;
};

Way FollowName(const json& record, const std::string& name) {
  Way way{&record, "", name};
  for (size_t dot = way.rest.find('.'); dot != std::string::npos; dot = way.rest.find('.')) {
    const std::string key = way.rest.substr(0, dot);
    const auto found = way.object->find(key);
    if (found == way.object->end() || !found->is_object()) break;
    way.object = &*found;
    absl::StrAppend(&way.used, way.used.empty() ? "" : ".", key);
    way.rest = way.rest.substr(dot + 1);
  }
  return way;
}

// `did you mean "prompt" by "promt"? `, or nothing.
std::string DidYouMean(const std::vector<std::string>& keys,
                       const std::vector<std::string>& names) {
  for (const std::string& key : keys) {
    if (key.size() > kLongestName) continue;  // nobody mistypes so long a name
    const std::string nearest = Nearest(key, names);
    if (!nearest.empty()) {
      return absl::StrCat("did you mean \"", nearest, "\" by \"", OneLine(key), "\"? ");
    }
  }
  return "";
}

}  // namespace

std::optional<Field> FindField(const json& record, const std::string& name) {
  const auto whole = record.find(name);
  if (whole != record.end()) {
    if (whole->is_null()) return std::nullopt;
    return Field{name, {name}, &*whole};
  }
  for (size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1)) {
    const auto outer = record.find(name.substr(0, dot));
    if (outer == record.end() || !outer->is_object()) continue;
    std::optional<Field> inner = FindField(*outer, name.substr(dot + 1));
    if (!inner.has_value()) continue;
    inner->path.insert(inner->path.begin(), name.substr(0, dot));
    inner->name = name;
    return inner;
  }
  return std::nullopt;
}

std::string Listed(const std::vector<std::string>& names, std::string_view last_word) {
  std::string out;
  for (size_t i = 0; i < names.size(); ++i) {
    const bool last = i + 1 == names.size();
    if (i > 0) absl::StrAppend(&out, last ? absl::StrCat(" ", std::string(last_word), " ") : ", ");
    if (i == kMostNames && !last) {
      return absl::StrCat(out, "and ", names.size() - i, " more");
    }
    absl::StrAppend(&out, "\"", OneLine(names[i], kLongestName), "\"");
  }
  return out;
}

absl::Status Missing(const storage::JsonLine& line, std::string_view role,
                     const std::vector<std::string>& names, const FieldNames& settings,
                     bool configured) {
  const std::string setting =
      settings.setting.empty() ? "" : absl::StrCat(settings.setting, std::string(role));
  if (!configured) {
    const std::vector<std::string> keys = KeysOf(line.value);
    const std::string has = keys.empty() ? "no field" : Listed(keys, "and");
    return storage::BadRecord(
        line, absl::StrCat("the ", std::string(role), " is missing: the record has ", has),
        absl::StrCat(DidYouMean(keys, names), "one of ", Listed(names, "and"), " is needed",
                     setting.empty() ? "" : absl::StrCat(", or ", setting, " names another")));
  }
  const Way way = FollowName(line.value, names[0]);
  const std::vector<std::string> keys = KeysOf(*way.object);
  const std::string holder = way.used.empty() ? "the record" : absl::StrCat("\"", way.used, "\"");
  const std::string has = keys.empty() ? "no field" : Listed(keys, "and");
  const std::string nearest = way.rest.size() > kLongestName ? "" : Nearest(way.rest, keys);
  return storage::BadRecord(
      line,
      absl::StrCat("field \"", OneLine(names[0], kLongestName), "\" is missing: ", holder, " has ",
                   has),
      absl::StrCat(nearest.empty() ? "" : absl::StrCat("did you mean \"", OneLine(nearest), "\"? "),
                   setting, " names the field to take"));
}

absl::Status WrongType(const storage::JsonLine& line, const Field& field, std::string_view needed) {
  return storage::BadRecord(line,
                            absl::StrCat("field \"", OneLine(field.name, kLongestName), "\" is ",
                                         OneLine(PrintJson(*field.value), kLongestName)),
                            needed);
}

}  // namespace attnrl::data_set
