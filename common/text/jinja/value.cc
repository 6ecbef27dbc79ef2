// SPDX-License-Identifier: Apache-2.0
#include "common/text/jinja/value.h"

#include <algorithm>
#include <array>

namespace attnrl::text::jinja {

bool Value::AsInteger(int64_t* out) const {
  if (const int64_t* number = integer()) {
    *out = *number;
    return true;
  }
  if (const bool* flag = boolean()) {
    *out = *flag ? 1 : 0;
    return true;
  }
  return false;
}

bool Value::IsTrue() const {
  int64_t number = 0;
  if (AsInteger(&number)) return number != 0;
  if (text() != nullptr) return !text()->empty();
  if (list() != nullptr) return !list()->empty();
  if (map() != nullptr) return !map()->empty();
  return names() != nullptr;
}

std::string_view Value::kind() const {
  constexpr std::array<std::string_view, 8> kKinds = {
      "an undefined value", "none", "a boolean", "a number", "a text", "a list", "a map",
      "a namespace"};
  return kKinds[held_.index()];
}

bool Equal(const Value& left, const Value& right) {
  int64_t one = 0;
  int64_t other = 0;
  if (left.AsInteger(&one) && right.AsInteger(&other)) return one == other;
  if (left.text() != nullptr && right.text() != nullptr) return *left.text() == *right.text();
  if (left.list() != nullptr && right.list() != nullptr) {
    return std::equal(left.list()->begin(), left.list()->end(), right.list()->begin(),
                      right.list()->end(), Equal);
  }
  if (left.map() != nullptr && right.map() != nullptr) {
    const Map& map = *left.map();
    if (map.size() != right.map()->size()) return false;
    return std::all_of(map.begin(), map.end(), [&right](const auto& entry) {
      return Equal(entry.second, Get(*right.map(), entry.first));
    });
  }
  if (left.names() != nullptr) return left.names() == right.names();
  return (left.is_none() && right.is_none()) || (left.is_undefined() && right.is_undefined());
}

Value Get(const Map& map, std::string_view key) {
  for (const auto& [name, value] : map) {
    if (name == key) return value;
  }
  return {};
}

}  // namespace attnrl::text::jinja
