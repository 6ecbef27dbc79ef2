// SPDX-License-Identifier: Apache-2.0
#include "common/text/tokenizer.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/status.h"
#include "common/base/utf8.h"
#include "common/json/json.h"
#include "common/text/added_tokens.h"
#include "common/text/byte_alphabet.h"
#include "common/text/byte_pairs.h"
#include "common/text/nfc.h"
#include "common/text/pre_tokenizer.h"
#include "common/text/tokenizer_file.h"

namespace attnrl::text {
namespace {

using Json = nlohmann::json;

enum class Kind : uint8_t { kNone, kPlain, kAdded, kSpecial };

struct Token {
  std::string bytes;
  Kind kind = Kind::kNone;
};

// True for NFC, false for no normalisation.
absl::StatusOr<bool> WantsNfc(const Json& normalizer, const std::string& where) {
  if (normalizer.is_null()) return false;
  const Json type = normalizer.is_object() ? normalizer.value("type", Json()) : Json();
  if (type == Json("NFC")) return true;
  if (type == Json("Sequence") && normalizer.contains("normalizers")) {
    bool nfc = false;
    for (const Json& part : normalizer["normalizers"]) {
      ATTNRL_ASSIGN_OR_RETURN(const bool wanted, WantsNfc(part, where));
      nfc = nfc || wanted;
    }
    return nfc;
  }
  return InputError(where, PrintJson(type) + " is not supported", "NFC and null are supported");
}

bool IsByteLevel(const Json& decoder) {
  if (!decoder.is_object()) return false;
  const Json type = decoder.value("type", Json());
  if (type == Json("ByteLevel")) return true;
  const Json parts = decoder.value("decoders", Json::array());
  return type == Json("Sequence") && parts.is_array() && parts.size() == 1 && IsByteLevel(parts[0]);
}

// "eos_token" is a string or an object that holds it as "content".
std::string SpecialToken(const Json& config, const char* key) {
  Json value = config.value(key, Json());
  if (value.is_object()) value = value.value("content", Json());
  return value.is_string() ? value.get<std::string>() : "";
}

}  // namespace

struct Tokenizer::Tables {
  PreTokenizer pre_tokenizer;
  BytePairs byte_pairs;
  bool nfc = false;
  AddedTokenFinder raw_added;         // looked for in the text as it is
  AddedTokenFinder normalized_added;  // looked for after normalisation
  absl::flat_hash_map<std::string, int32_t> added_ids;
  std::vector<Token> tokens;  // by id
  std::string bos_token;
  std::string eos_token;

  absl::Status AddTokens(const TokenizerFile& file);
  void EncodePlain(std::string_view text, std::vector<int32_t>* ids) const;
};

absl::Status Tokenizer::Tables::AddTokens(const TokenizerFile& file) {
  int32_t last = 0;
  for (const auto& [text, id] : file.vocabulary) last = std::max(last, id);
  for (const AddedToken& token : file.added_tokens) last = std::max(last, token.id);
  tokens.resize(static_cast<size_t>(last) + 1);
  for (const auto& [text, id] : file.vocabulary) {
    Token& token = tokens[static_cast<size_t>(id)];
    if (token.kind != Kind::kNone) {
      return InputError(file.path + ": model.vocab", absl::StrCat("id ", id, " occurs twice"),
                        "each id must be there once");
    }
    std::optional<std::string> bytes = AlphabetBytes(text);
    token = {bytes ? *std::move(bytes) : text, Kind::kPlain};
  }
  for (const AddedToken& added : file.added_tokens) {
    Token& token = tokens[static_cast<size_t>(added.id)];
    std::optional<std::string> bytes = AlphabetBytes(added.content);
    std::string text = bytes ? *std::move(bytes) : added.content;
    if (token.kind != Kind::kNone && token.bytes != text) {
      return InputError(file.path + ": added_tokens",
                        absl::StrCat("id ", added.id, " has another text in model.vocab"),
                        "the same text in both");
    }
    token = {std::move(text), added.special ? Kind::kSpecial : Kind::kAdded};
    added_ids[added.content] = added.id;
    if (added.normalized) {
      normalized_added.Add(nfc ? ComposeNfc(added.content) : added.content, added.id);
    } else {
      raw_added.Add(added.content, added.id);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Tokenizer> Tokenizer::Load(const std::string& model_dir) {
  const std::string path = model_dir + "/tokenizer.json";
  ATTNRL_ASSIGN_OR_RETURN(const TokenizerFile file, ReadTokenizerFile(path));
  const auto part = [&file](const char* key) { return file.rest.value(key, Json()); };
  ATTNRL_ASSIGN_OR_RETURN(const bool nfc, WantsNfc(part("normalizer"), path + ": normalizer"));
  ATTNRL_ASSIGN_OR_RETURN(PreTokenizer pre_tokenizer,
                          PreTokenizer::Parse(part("pre_tokenizer"), path));
  if (!IsByteLevel(part("decoder"))) {
    return InputError(path + ": decoder", "is not supported", "only ByteLevel is supported");
  }
  // "post_processor" only adds special tokens, which we never do; "truncation" and "padding" are
  // the caller's business in the library too.
  ATTNRL_ASSIGN_OR_RETURN(BytePairs byte_pairs, BytePairs::Make(file));
  auto tables = std::make_shared<Tables>(
      Tables{std::move(pre_tokenizer), std::move(byte_pairs), nfc, {}, {}, {}, {}, "", ""});
  ATTNRL_RETURN_IF_ERROR(tables->AddTokens(file));

  const std::string config_path = model_dir + "/tokenizer_config.json";
  if (std::filesystem::exists(config_path)) {
    ATTNRL_ASSIGN_OR_RETURN(const Json config, ReadJsonFile(config_path));
    tables->bos_token = SpecialToken(config, "bos_token");
    tables->eos_token = SpecialToken(config, "eos_token");
  }
  return Tokenizer(std::move(tables));
}

void Tokenizer::Tables::EncodePlain(std::string_view text, std::vector<int32_t>* ids) const {
  for (const std::string_view piece : pre_tokenizer.Split(text)) byte_pairs.Encode(piece, ids);
}

std::vector<int32_t> Tokenizer::Encode(std::string_view text) const {
  const Tables& tables = *tables_;
  std::string repaired;
  if (!IsUtf8(text)) {
    repaired = LossyUtf8(text);
    text = repaired;
  }
  std::vector<int32_t> ids;
  const auto between = [](std::string_view whole, const std::vector<AddedTokenFinder::Match>& found,
                          std::vector<int32_t>* out, const auto& encode) {
    size_t done = 0;
    for (const AddedTokenFinder::Match& match : found) {
      encode(whole.substr(done, match.begin - done));
      out->push_back(match.id);
      done = match.end;
    }
    encode(whole.substr(done));
  };
  between(text, tables.raw_added.Find(text), &ids, [&](std::string_view raw) {
    const std::string composed = tables.nfc ? ComposeNfc(raw) : std::string(raw);
    between(composed, tables.normalized_added.Find(composed), &ids,
            [&](std::string_view plain) { tables.EncodePlain(plain, &ids); });
  });
  return ids;
}

std::string Tokenizer::Decode(std::span<const int32_t> ids, bool keep_special) const {
  std::string bytes;
  for (const int32_t id : ids) {
    if (id < 0 || id >= size()) continue;
    const Token& token = tables_->tokens[static_cast<size_t>(id)];
    if (keep_special || token.kind != Kind::kSpecial) bytes.append(token.bytes);
  }
  return LossyUtf8(bytes);
}

std::string_view Tokenizer::TokenBytes(int32_t id) const {
  return id < 0 || id >= size() ? std::string_view()
                                : std::string_view(tables_->tokens[static_cast<size_t>(id)].bytes);
}

int32_t Tokenizer::size() const { return static_cast<int32_t>(tables_->tokens.size()); }

bool Tokenizer::IsAdded(int32_t id) const {
  return id >= 0 && id < size() && tables_->tokens[static_cast<size_t>(id)].kind >= Kind::kAdded;
}

std::optional<int32_t> Tokenizer::AddedTokenId(std::string_view content) const {
  const auto found = tables_->added_ids.find(absl::string_view(content.data(), content.size()));
  return found == tables_->added_ids.end() ? std::nullopt : std::optional(found->second);
}

const std::string& Tokenizer::bos_token() const { return tables_->bos_token; }
const std::string& Tokenizer::eos_token() const { return tables_->eos_token; }

std::optional<int32_t> Tokenizer::eos_id() const { return AddedTokenId(eos_token()); }

}  // namespace attnrl::text
