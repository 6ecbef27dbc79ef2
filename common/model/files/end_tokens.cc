// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/json/json.h"
#include "common/model/files/config.h"
#include "common/model/files/json_file.h"
#include "common/text/tokenizer.h"

namespace attnrl::model {
namespace {

constexpr char kKey[] = "eos_token_id";
constexpr int64_t kAnyId = int64_t{1} << 31;

// One id or a list of them; empty where the file or the key is missing.
absl::StatusOr<std::vector<int32_t>> EndTokensOf(const std::string& path) {
  std::vector<int32_t> ids;
  if (!std::filesystem::exists(path)) return ids;
  ATTNRL_ASSIGN_OR_RETURN(const JsonFile file, JsonFile::Read(path));
  const nlohmann::json* value = file.Find(kKey);
  if (value == nullptr) return ids;
  const nlohmann::json list = value->is_array() ? *value : nlohmann::json::array({*value});
  for (const nlohmann::json& id : list) {
    if (!id.is_number_integer() || id < 0 || id > INT32_MAX) {
      return file.Error(kKey, absl::StrCat("holds ", OneLine(PrintJson(id), 60)),
                        "a token id or a list of them is needed");
    }
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

// An id that the model can never sample ends nothing. `where` names its file and key.
absl::Status CheckVocabulary(const std::string& dir, const std::string& where, int32_t largest) {
  ATTNRL_ASSIGN_OR_RETURN(const int64_t size, LoadVocabularySize(dir));
  if (largest < size) return absl::OkStatus();
  return InputError(where, absl::StrCat("holds ", largest),
                    absl::StrCat("ids below config.json's vocab_size ", size, " are needed"));
}

}  // namespace

absl::StatusOr<int64_t> LoadVocabularySize(const std::string& dir) {
  const std::string path = dir + "/config.json";
  if (!std::filesystem::exists(path)) return kAnyId;
  ATTNRL_ASSIGN_OR_RETURN(const JsonFile config, JsonFile::Read(path));
  if (config.Find("vocab_size") == nullptr) return kAnyId;
  return config.Size("vocab_size", INT32_MAX);
}

absl::StatusOr<std::vector<int32_t>> LoadEndTokens(const std::string& dir) {
  std::vector<int32_t> ids;
  std::string where;
  for (const char* name : {"/generation_config.json", "/config.json"}) {
    where = absl::StrCat(dir, name, ": ", kKey);
    ATTNRL_ASSIGN_OR_RETURN(ids, EndTokensOf(dir + name));
    if (!ids.empty()) break;
  }
  if (ids.empty()) {
    ATTNRL_ASSIGN_OR_RETURN(const text::Tokenizer tokenizer, text::Tokenizer::Load(dir));
    if (!tokenizer.eos_id().has_value()) {
      return InputError(dir, "no end token",
                        "eos_token_id in generation_config.json or config.json, or eos_token in "
                        "tokenizer_config.json, is needed");
    }
    ids.push_back(*tokenizer.eos_id());
    where = absl::StrCat(dir, "/tokenizer_config.json: eos_token");
  }
  std::sort(ids.begin(), ids.end());
  ATTNRL_RETURN_IF_ERROR(CheckVocabulary(dir, where, ids.back()));
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

}  // namespace attnrl::model
