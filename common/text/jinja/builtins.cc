// SPDX-License-Identifier: Apache-2.0
#include "common/text/jinja/builtins.h"

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace attnrl::text::jinja {
namespace {

using Arguments = std::vector<Value>;

absl::Status Refused(std::string_view what, std::string_view name, std::string_view allowed) {
  return InputError("", absl::StrCat("the ", std::string(what), " \"", OneLine(name, 40), "\""),
                    absl::StrCat(std::string(allowed), " are supported"));
}

absl::Status WrongArguments(std::string_view name) {
  return InputError("", absl::StrCat("arguments that ", std::string(name), " doesn't take"),
                    "those of Jinja, by position");
}

// What Python takes for white space.
bool IsWhiteSpace(std::string_view character) {
  static const auto* kWide = new std::vector<std::string_view>{
      "\u0085", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003",
      "\u2004", "\u2005", "\u2006", "\u2007", "\u2008", "\u2009", "\u200a",
      "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"};
  if (character.size() == 1) {
    const char c = character[0];
    return c == ' ' || (c >= '\t' && c <= '\r') || (c >= '\x1c' && c <= '\x1f');
  }
  return std::find(kWide->begin(), kWide->end(), character) != kWide->end();
}

// Takes characters away at the ends: those of `chars`, or white space where it is undefined.
absl::StatusOr<Value> Strip(const std::string& text, const Value& chars, bool left, bool right,
                            Budget* budget) {
  std::vector<std::string_view> set;
  if (chars.text() != nullptr) {
    set = Characters(*chars.text());
  } else if (!chars.is_undefined() && !chars.is_none()) {
    return WrongArguments("strip");
  }
  const bool by_set = chars.text() != nullptr;
  const auto goes = [&](std::string_view character) {
    return by_set ? std::find(set.begin(), set.end(), character) != set.end()
                  : IsWhiteSpace(character);
  };
  const std::vector<std::string_view> characters = Characters(text);
  size_t begin = 0;
  size_t end = characters.size();
  while (left && begin < end && goes(characters[begin])) ++begin;
  while (right && end > begin && goes(characters[end - 1])) --end;
  if (begin == end) return Value(std::string());
  const char* first = characters[begin].data();
  const char* last = characters[end - 1].data() + characters[end - 1].size();
  ATTNRL_RETURN_IF_ERROR(budget->Bytes(static_cast<size_t>(last - first)));
  return Value(std::string(first, last));
}

absl::StatusOr<Value> Split(const std::string& text, const Arguments& arguments, Budget* budget) {
  if (arguments.size() != 1 || arguments[0].text() == nullptr || arguments[0].text()->empty()) {
    return InputError("", "split without a separator", "split('text') is supported");
  }
  const std::string& separator = *arguments[0].text();
  ATTNRL_RETURN_IF_ERROR(budget->Bytes(text.size()));
  List parts;
  size_t begin = 0;
  for (;;) {
    const size_t end = text.find(separator, begin);
    ATTNRL_RETURN_IF_ERROR(budget->Steps(1));
    parts.emplace_back(text.substr(begin, end == std::string::npos ? end : end - begin));
    if (end == std::string::npos) return Value(std::move(parts));
    begin = end + separator.size();
  }
}

absl::StatusOr<Value> Replace(const std::string& text, const Arguments& arguments, Budget* budget) {
  if (arguments.size() != 2 || arguments[0].text() == nullptr || arguments[1].text() == nullptr ||
      arguments[0].text()->empty()) {
    return WrongArguments("replace");
  }
  std::string out;
  size_t begin = 0;
  for (;;) {
    const size_t end = text.find(*arguments[0].text(), begin);
    const size_t kept = (end == std::string::npos ? text.size() : end) - begin;
    ATTNRL_RETURN_IF_ERROR(budget->Bytes(kept + arguments[1].text()->size()));
    out.append(text, begin, kept);
    if (end == std::string::npos) return Value(std::move(out));
    out += *arguments[1].text();
    begin = end + arguments[0].text()->size();
  }
}

// A list of [key, value].
Value Items(const Map& map) {
  List items;
  for (const auto& [key, value] : map) items.emplace_back(List{Value(key), value});
  return Value(std::move(items));
}

absl::StatusOr<Value> Length(const Value& value) {
  size_t size = 0;
  if (value.text() != nullptr) {
    size = Characters(*value.text()).size();
  } else if (value.list() != nullptr) {
    size = value.list()->size();
  } else if (value.map() != nullptr) {
    size = value.map()->size();
  } else if (!value.is_undefined()) {
    return InputError("", absl::StrCat("the length of ", std::string(value.kind())),
                      "a text, a list or a map has one");
  }
  return Value(static_cast<int64_t>(size));
}

absl::StatusOr<Value> Join(const Value& value, const Value& separator, Budget* budget) {
  if (value.list() == nullptr) return WrongArguments("join");
  ATTNRL_ASSIGN_OR_RETURN(const std::string between, Written(separator));
  std::string out;
  for (const Value& element : *value.list()) {
    if (&element != &value.list()->front()) out += between;
    ATTNRL_ASSIGN_OR_RETURN(const std::string text, Written(element));
    ATTNRL_RETURN_IF_ERROR(budget->Bytes(text.size() + between.size()));
    out += text;
  }
  return Value(std::move(out));
}

Value Argument(const Arguments& arguments, size_t index) {
  return index < arguments.size() ? arguments[index] : Value();
}

// Of [0, size]: where Python's slice begins or ends.
absl::StatusOr<int64_t> Bound(const Value& value, int64_t otherwise, int64_t low, int64_t high) {
  if (value.is_undefined() || value.is_none()) return otherwise;
  int64_t bound = 0;
  if (!value.AsInteger(&bound)) return InputError("", "a slice by no number", "whole numbers");
  const int64_t size = high - low;  // also with low -1, where the step is negative
  if (bound < 0) bound = std::max(bound, -size - 1) + size;
  return std::clamp(bound, low, high);
}

using Test = std::function<bool(const Value&, const Arguments&)>;
const std::map<std::string_view, Test>& Tests() {
  static const auto* tests = new std::map<std::string_view, Test>{
      {"defined", [](const Value& v, const Arguments&) { return !v.is_undefined(); }},
      {"undefined", [](const Value& v, const Arguments&) { return v.is_undefined(); }},
      {"none", [](const Value& v, const Arguments&) { return v.is_none(); }},
      {"string", [](const Value& v, const Arguments&) { return v.text() != nullptr; }},
      {"mapping", [](const Value& v, const Arguments&) { return v.map() != nullptr; }},
      {"boolean", [](const Value& v, const Arguments&) { return v.boolean() != nullptr; }},
      {"integer", [](const Value& v, const Arguments&) { return v.integer() != nullptr; }},
      {"number", [](const Value& v,
                    const Arguments&) { return v.integer() != nullptr || v.boolean() != nullptr; }},
      {"true",
       [](const Value& v, const Arguments&) { return v.boolean() != nullptr && *v.boolean(); }},
      {"false",
       [](const Value& v, const Arguments&) { return v.boolean() != nullptr && !*v.boolean(); }},
      {"iterable",
       [](const Value& v, const Arguments&) {
         return v.text() != nullptr || v.list() != nullptr || v.map() != nullptr ||
                v.is_undefined();
       }},
      {"sequence",
       [](const Value& v, const Arguments&) {
         return v.text() != nullptr || v.list() != nullptr || v.map() != nullptr ||
                v.is_undefined();
       }},
      {"equalto", [](const Value& v, const Arguments& a) { return Equal(v, Argument(a, 0)); }},
      {"eq", [](const Value& v, const Arguments& a) { return Equal(v, Argument(a, 0)); }},
      {"ne", [](const Value& v, const Arguments& a) { return !Equal(v, Argument(a, 0)); }},
  };
  return *tests;
}

}  // namespace

std::vector<std::string_view> Characters(std::string_view text) {
  std::vector<std::string_view> characters;
  size_t begin = 0;
  for (size_t i = 1; i <= text.size(); ++i) {
    if (i < text.size() && (static_cast<unsigned char>(text[i]) & 0xc0) == 0x80) continue;
    characters.push_back(text.substr(begin, i - begin));
    begin = i;
  }
  return characters;
}

absl::StatusOr<std::string> Written(const Value& value) {
  if (value.text() != nullptr) return *value.text();
  if (value.is_undefined()) return std::string();
  if (value.is_none()) return std::string("None");
  if (value.boolean() != nullptr) return std::string(*value.boolean() ? "True" : "False");
  if (value.integer() != nullptr) return absl::StrCat(*value.integer());
  return InputError("", absl::StrCat(std::string(value.kind()), " where a text is written"),
                    "texts and numbers can be");
}

absl::StatusOr<Value> Slice(const Value& object, const Value& begin, const Value& end,
                            const Value& step, Budget* budget) {
  int64_t stride = 1;
  if (!step.is_undefined() && !step.is_none() &&
      (!step.AsInteger(&stride) || stride == 0 || std::abs(stride) > Budget::kSteps)) {
    return InputError("", "the step of a slice", "a whole number other than 0");
  }
  std::vector<std::string_view> characters;
  if (object.text() != nullptr) {
    characters = Characters(*object.text());
  } else if (object.list() == nullptr) {
    return InputError("", absl::StrCat("a slice of ", std::string(object.kind())),
                      "lists and texts have them");
  }
  const auto size =
      static_cast<int64_t>(object.list() != nullptr ? object.list()->size() : characters.size());
  const int64_t low = stride > 0 ? 0 : -1;
  const int64_t high = stride > 0 ? size : size - 1;
  ATTNRL_ASSIGN_OR_RETURN(int64_t at, Bound(begin, stride > 0 ? low : high, low, high));
  ATTNRL_ASSIGN_OR_RETURN(const int64_t stop, Bound(end, stride > 0 ? high : low, low, high));
  List elements;
  std::string text;
  for (; stride > 0 ? at < stop : at > stop; at += stride) {
    ATTNRL_RETURN_IF_ERROR(budget->Steps(1));
    if (object.list() != nullptr) {
      elements.push_back((*object.list())[static_cast<size_t>(at)]);
    } else {
      text.append(characters[static_cast<size_t>(at)]);
    }
  }
  return object.list() != nullptr ? Value(std::move(elements)) : Value(std::move(text));
}

absl::StatusOr<Value> ApplyFilter(std::string_view name, const Value& value,
                                  const Arguments& arguments, Budget* budget) {
  const Value first = Argument(arguments, 0);
  if (name == "trim") {
    ATTNRL_ASSIGN_OR_RETURN(const std::string text, Written(value));
    return Strip(text, first, true, true, budget);
  }
  if (name == "length" || name == "count") return Length(value);
  if (name == "default" || name == "d") {
    const bool missing =
        value.is_undefined() || (Argument(arguments, 1).IsTrue() && !value.IsTrue());
    if (!missing) return value;
    return arguments.empty() ? Value(std::string()) : first;
  }
  if (name == "join") return Join(value, first, budget);
  if (name == "string" || name == "safe") {
    ATTNRL_ASSIGN_OR_RETURN(std::string text, Written(value));
    ATTNRL_RETURN_IF_ERROR(budget->Bytes(text.size()));
    return Value(std::move(text));
  }
  if (name == "replace" && value.text() != nullptr) {
    return Replace(*value.text(), arguments, budget);
  }
  if (name == "items" && value.map() != nullptr) return Items(*value.map());
  if ((name == "first" || name == "last") && value.list() != nullptr) {
    if (value.list()->empty()) return Value();
    return name == "first" ? value.list()->front() : value.list()->back();
  }
  return Refused(
      absl::StrCat("filter of ", std::string(value.kind())), name,
      "trim, length, count, default, join, string, safe, replace, items, first and last");
}

absl::StatusOr<bool> ApplyTest(std::string_view name, const Value& value,
                               const Arguments& arguments) {
  const auto found = Tests().find(name);
  if (found != Tests().end()) return found->second(value, arguments);
  std::string known;
  for (const auto& [each, test] : Tests()) {
    absl::StrAppend(&known, known.empty() ? "" : ", ", std::string(each));
  }
  return Refused("test", name, known);
}

absl::StatusOr<Value> CallMethod(std::string_view name, const Value& object,
                                 const Arguments& arguments, Budget* budget) {
  const Value first = Argument(arguments, 0);
  if (const std::string* text = object.text()) {
    if (name == "strip") return Strip(*text, first, true, true, budget);
    if (name == "lstrip") return Strip(*text, first, true, false, budget);
    if (name == "rstrip") return Strip(*text, first, false, true, budget);
    if (name == "split") return Split(*text, arguments, budget);
    if (name == "replace") return Replace(*text, arguments, budget);
    if (name == "startswith" || name == "endswith") {
      if (arguments.size() != 1 || first.text() == nullptr) return WrongArguments(name);
      return Value(name == "startswith" ? text->starts_with(*first.text())
                                        : text->ends_with(*first.text()));
    }
    return Refused("method of a text", name,
                   "strip, lstrip, rstrip, split, replace, startswith and endswith");
  }
  if (const Map* map = object.map()) {
    if (name == "items") return Items(*map);
    if (name == "get" && first.text() != nullptr) {
      const Value found = Get(*map, *first.text());
      if (!found.is_undefined()) return found;
      return arguments.size() > 1 ? arguments[1] : Value(None());
    }
    return Refused("method of a map", name, "items and get");
  }
  return Refused(absl::StrCat("method of ", std::string(object.kind())), name,
                 "those of texts and maps");
}

}  // namespace attnrl::text::jinja
