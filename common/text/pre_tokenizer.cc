// SPDX-License-Identifier: Apache-2.0
#include "common/text/pre_tokenizer.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace attnrl::text {
namespace {

using Json = nlohmann::json;

// What ByteLevel splits by when it is asked to (the published pattern of GPT-2).
constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// A member with a default, whatever the file's type is: nullopt-free and without exceptions.
bool Flag(const Json& value, const char* key, bool otherwise) {
  const auto found = value.find(key);
  return found != value.end() && found->is_boolean() ? found->get<bool>() : otherwise;
}

std::string Text(const Json& value, const char* key) {
  const auto found = value.find(key);
  return found != value.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

absl::StatusOr<PreTokenizer> PreTokenizer::Parse(const Json& value, const std::string& file) {
  PreTokenizer out;
  const std::string where = file + ": pre_tokenizer";
  ATTNRL_RETURN_IF_ERROR(out.Add(value, where));
  if (!out.byte_level_) {
    return InputError(where, "has no ByteLevel step", "only byte-level BPE is supported");
  }
  return out;
}

absl::Status PreTokenizer::Add(const Json& value, const std::string& where) {
  const std::string type = value.is_object() ? Text(value, "type") : "";
  if (byte_level_) {
    return InputError(where, "has a step after ByteLevel", "ByteLevel must be the last step");
  }
  if (type == "Sequence") {
    const auto steps = value.find("pretokenizers");
    if (steps == value.end() || !steps->is_array()) {
      return InputError(where + ".pretokenizers", "is missing", "a list of steps is needed");
    }
    for (size_t i = 0; i < steps->size(); ++i) {
      ATTNRL_RETURN_IF_ERROR(Add((*steps)[i], absl::StrCat(where, ".pretokenizers[", i, "]")));
    }
    return absl::OkStatus();
  }
  if (type == "Split") return AddSplit(value, where);
  if (type == "ByteLevel") return AddByteLevel(value, where);
  if (type == "Digits") {
    const bool individual = Flag(value, "individual_digits", false);
    return AddStage(SplitPattern::Compile(individual ? "\\p{N}" : "\\p{N}+"), true, where);
  }
  return InputError(where + ".type", absl::StrCat("\"", type, "\" is not supported"),
                    "Sequence, Split, Digits and ByteLevel are supported");
}

absl::Status PreTokenizer::AddSplit(const Json& value, const std::string& where) {
  const std::string behavior = Text(value, "behavior");
  const bool invert = Flag(value, "invert", false);
  const bool isolated = behavior == "Isolated" && !invert;
  if (!isolated && !(behavior == "Removed" && invert)) {
    return InputError(
        where + ".behavior",
        absl::StrCat("\"", behavior, "\"", invert ? " with invert" : "", " is not supported"),
        "Isolated, and Removed with invert, are supported");
  }
  const auto pattern = value.find("pattern");
  if (pattern != value.end() && pattern->is_object()) {
    if (pattern->contains("Regex")) {
      return AddStage(SplitPattern::Compile(Text(*pattern, "Regex")), isolated, where);
    }
    if (pattern->contains("String")) {
      return AddStage(SplitPattern::Literal(Text(*pattern, "String")), isolated, where);
    }
  }
  return InputError(where + ".pattern", "is missing", "{\"Regex\": ..} or {\"String\": ..}");
}

absl::Status PreTokenizer::AddByteLevel(const Json& value, const std::string& where) {
  byte_level_ = true;
  if (Flag(value, "add_prefix_space", true)) {
    return InputError(where + ".add_prefix_space", "true is not supported",
                      "only false is supported");
  }
  if (!Flag(value, "use_regex", true)) return absl::OkStatus();
  return AddStage(SplitPattern::Compile(kGpt2Pattern), true, where);
}

absl::Status PreTokenizer::AddStage(absl::StatusOr<SplitPattern> pattern, bool keep_gaps,
                                    const std::string& where) {
  if (!pattern.ok()) {
    return InputError(where + ".pattern", std::string(pattern.status().message()),
                      "a regular expression that PCRE2 understands");
  }
  stages_.push_back({*std::move(pattern), keep_gaps});
  return absl::OkStatus();
}

std::vector<std::string_view> PreTokenizer::Split(std::string_view text) const {
  std::vector<std::string_view> pieces;
  if (!text.empty()) pieces.push_back(text);
  for (const Stage& stage : stages_) {
    std::vector<std::string_view> cut;
    for (const std::string_view piece : pieces) {
      size_t done = 0;
      for (const auto& [begin, end] : stage.pattern.Matches(piece)) {
        if (stage.keep_gaps && begin > done) cut.push_back(piece.substr(done, begin - done));
        cut.push_back(piece.substr(begin, end - begin));
        done = end;
      }
      if (stage.keep_gaps && done < piece.size()) cut.push_back(piece.substr(done));
    }
    pieces = std::move(cut);
  }
  return pieces;
}

}  // namespace attnrl::text
