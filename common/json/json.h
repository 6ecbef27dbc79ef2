// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace attnrl {

// How deep the lists and objects of a text may nest; nothing that this project reads needs half of
// it.
inline constexpr size_t kMaxJsonDepth = 64;

// Why a text was not parsed, for callers whose errors say it in their own words.
struct JsonFault {
  enum class Kind {
    kDepth,   // it nests deeper than kMaxJsonDepth
    kSyntax,  // it is no JSON, or not UTF-8
    kNumber,  // one of its numbers is beyond a double
  };
  Kind kind = Kind::kSyntax;
  // With kSyntax: how many bytes were read when it was found, the one that can't be there among
  // them. The end of the text counts as a byte. 0 with the other kinds.
  size_t byte = 0;
};

// The one value of a text, which may have white space around it and a byte order mark in front. Of
// equal keys in an object the last one counts. What can't be parsed is kInvalidArgument; its
// message says what was found, in the parser's words or `nests too deeply; at most ...`, and names
// no place: Annotate adds it. `fault` (may be null) is set with an error, else left as it is.
//
// The text may come from outside. Its depth is checked before it is parsed, since nlohmann's values
// are printed and copied by recursion: a deep one would end the process. Time linear in the text,
// whatever it is.
absl::StatusOr<nlohmann::json> ParseJson(std::string_view text, JsonFault* fault = nullptr);
// The same with the keys of objects in the order of the text, for what is written again.
absl::StatusOr<nlohmann::ordered_json> ParseOrderedJson(std::string_view text);

// Shows the text to `walk` piece by piece and keeps nothing of it: for what is too large for a
// tree, or has rules that a tree no longer shows. True where `walk` never said false; what is no
// JSON it hears of as parse_error. The depth is for `walk` to bound: here it takes one bit a level.
bool WalkJson(std::string_view text, nlohmann::json_sax<nlohmann::json>* walk);

// The value as text in UTF-8. On one line without spaces; with an `indent` of 0 or more, one member
// or element a line, behind `indent` spaces a level, without a newline at the end. Keys in the
// order in which the value holds them, doubles with the digits that read back to the same bits, NaN
// and infinities as null. Never fails: ill-formed UTF-8 in a text is printed as U+FFFD.
std::string PrintJson(const nlohmann::json& value, int indent = -1);
std::string PrintJson(const nlohmann::ordered_json& value, int indent = -1);

}  // namespace attnrl
