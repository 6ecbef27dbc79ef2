// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace attnrl::text::jinja {

class Value;
struct Undefined {};  // a name or a key that isn't there
struct None {};
using List = std::vector<Value>;
using Map = std::vector<std::pair<std::string, Value>>;  // in the order of insertion
using Namespace = std::map<std::string, Value>;          // the one thing that a template changes

// A value of a template, as Python has it. Texts, lists and maps are shared and never changed, so
// that a copy is cheap.
class Value {
 public:
  Value() = default;
  Value(None none) : held_(none) {}  // NOLINT(google-explicit-constructor)
  explicit Value(bool value) : held_(value) {}
  explicit Value(int64_t value) : held_(value) {}
  explicit Value(std::string text) : held_(std::make_shared<const std::string>(std::move(text))) {}
  explicit Value(List list) : held_(std::make_shared<const List>(std::move(list))) {}
  explicit Value(Map map) : held_(std::make_shared<const Map>(std::move(map))) {}
  explicit Value(std::shared_ptr<Namespace> names) : held_(std::move(names)) {}

  bool is_undefined() const { return std::holds_alternative<Undefined>(held_); }
  bool is_none() const { return std::holds_alternative<None>(held_); }
  // Null where the value is of another kind.
  const bool* boolean() const { return std::get_if<bool>(&held_); }
  const int64_t* integer() const { return std::get_if<int64_t>(&held_); }
  const std::string* text() const { return Shared<const std::string>(); }
  const List* list() const { return Shared<const List>(); }
  const Map* map() const { return Shared<const Map>(); }
  Namespace* names() const { return Shared<Namespace>(); }

  // Whole numbers, and True and False as 1 and 0; false for other kinds.
  bool AsInteger(int64_t* out) const;
  // What `if` takes for true: neither undefined, none, false, 0 nor empty.
  bool IsTrue() const;
  // "a list", for errors.
  std::string_view kind() const;

 private:
  template <typename T>
  T* Shared() const {
    const auto* held = std::get_if<std::shared_ptr<T>>(&held_);
    return held == nullptr ? nullptr : held->get();
  }

  std::variant<Undefined, None, bool, int64_t, std::shared_ptr<const std::string>,
               std::shared_ptr<const List>, std::shared_ptr<const Map>, std::shared_ptr<Namespace>>
      held_;
};

// Equality of Python: True is 1, lists and maps are compared by what they hold.
bool Equal(const Value& left, const Value& right);

// The value at a key; undefined where there is none.
Value Get(const Map& map, std::string_view key);

}  // namespace attnrl::text::jinja
