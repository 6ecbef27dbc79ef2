// SPDX-License-Identifier: Apache-2.0
#include "common/json/json.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/json/json_words.h"

namespace attnrl {
namespace {

// True where more than kMaxJsonDepth lists and objects are open inside each other, JSON or not.
bool NestsTooDeeply(std::string_view text) {
  size_t depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') quoted = !quoted;
    if (quoted) {
      if (c == '\\') ++i;  // whatever it escapes, a quote above all
      continue;
    }
    if ((c == '[' || c == '{') && ++depth > kMaxJsonDepth) return true;
    if ((c == ']' || c == '}') && depth > 0) --depth;
  }
  return false;
}

template <typename Json>
absl::StatusOr<Json> Parse(std::string_view text, JsonFault* fault) {
  const auto refuse = [fault](JsonFault found, const std::string& why) {
    if (fault != nullptr) *fault = found;
    return absl::InvalidArgumentError(why);
  };
  if (NestsTooDeeply(text)) {
    return refuse({JsonFault::Kind::kDepth},
                  absl::StrCat("nests too deeply; at most ", kMaxJsonDepth,
                               " nested lists and objects are allowed"));
  }
  try {
    return Json::parse(text);
  } catch (const typename Json::parse_error& error) {
    return refuse({JsonFault::Kind::kSyntax, error.byte}, JsonWords(error));
  } catch (const typename Json::exception& error) {
    return refuse({JsonFault::Kind::kNumber}, JsonWords(error));
  }
}

template <typename Json>
std::string Print(const Json& value, int indent) {
  return value.dump(indent, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

}  // namespace

absl::StatusOr<nlohmann::json> ParseJson(std::string_view text, JsonFault* fault) {
  return Parse<nlohmann::json>(text, fault);
}

absl::StatusOr<nlohmann::ordered_json> ParseOrderedJson(std::string_view text) {
  return Parse<nlohmann::ordered_json>(text, nullptr);
}

bool WalkJson(std::string_view text, nlohmann::json_sax<nlohmann::json>* walk) {
  return nlohmann::json::sax_parse(text, walk);
}

std::string PrintJson(const nlohmann::json& value, int indent) { return Print(value, indent); }

std::string PrintJson(const nlohmann::ordered_json& value, int indent) {
  return Print(value, indent);
}

}  // namespace attnrl
