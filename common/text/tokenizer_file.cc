// SPDX-License-Identifier: Apache-2.0
#include "common/text/tokenizer_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/base/lfs_pointer.h"
#include "common/base/status.h"
#include "common/json/json.h"

namespace attnrl::text {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMaxTokenId = (int64_t{1} << 24) - 1;

// Builds a JSON tree of everything but model.vocab and model.merges, which it writes straight into
// the two lists. Returns false (which stops the parser) at the first thing that can't be right.
class FileReader final : public nlohmann::json_sax<Json> {
 public:
  explicit FileReader(TokenizerFile* file) : file_(file) {}
  bool has_merges() const { return has_merges_; }
  const std::string& problem() const { return problem_; }  // "key: what; allowed" without the file

  bool null() override { return Value(Json()); }
  bool boolean(bool value) override { return Value(Json(value)); }
  bool number_integer(int64_t value) override { return Number(value, Json(value)); }
  bool number_unsigned(uint64_t value) override {
    return Number(value > INT64_MAX ? -1 : static_cast<int64_t>(value), Json(value));
  }
  bool number_float(double value, const std::string& /*text*/) override {
    return Value(Json(value));
  }
  bool binary(Json::binary_t& /*value*/) override { return false; }  // not in JSON text

  bool string(std::string& value) override {
    if (part_ != Part::kMerges) return Value(Json(std::move(value)));
    if (in_pair_) {
      pair_.push_back(std::move(value));
      return pair_.size() <= 2 || Problem("model.merges", "a merge of more than two tokens");
    }
    const size_t space = value.find(' ');
    if (space == std::string::npos)
      return Problem("model.merges", "\"" + value + "\" has no space");
    file_->merges.emplace_back(value.substr(0, space), value.substr(space + 1));
    return true;
  }

  bool key(std::string& value) override {
    key_ = std::move(value);
    return true;
  }

  bool start_object(size_t /*size*/) override {
    if (part_ != Part::kRest) return Problem(PartKey(), "an object inside");
    if (AtModel() && key_ == "vocab") {
      part_ = Part::kVocabulary;
      return true;
    }
    return Open(Json::object());
  }

  bool end_object() override {
    if (part_ == Part::kVocabulary) {
      part_ = Part::kRest;
      return true;
    }
    return Close();
  }

  bool start_array(size_t /*size*/) override {
    if (part_ == Part::kMerges) {
      if (in_pair_) return Problem(PartKey(), "a list inside a merge");
      in_pair_ = true;
      return true;
    }
    if (part_ == Part::kVocabulary) return Problem(PartKey(), "a list inside");
    if (AtModel() && key_ == "merges") {
      part_ = Part::kMerges;
      has_merges_ = true;
      return true;
    }
    return Open(Json::array());
  }

  bool end_array() override {
    if (part_ != Part::kMerges) return Close();
    if (!in_pair_) {
      part_ = Part::kRest;
      return true;
    }
    in_pair_ = false;
    if (pair_.size() != 2) return Problem("model.merges", "a merge of fewer than two tokens");
    file_->merges.emplace_back(std::move(pair_[0]), std::move(pair_[1]));
    pair_.clear();
    return true;
  }

  bool parse_error(size_t position, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) override {
    problem_ = absl::StrCat("not valid JSON at byte ", position, "; a tokenizer.json is needed");
    return false;
  }

 private:
  enum class Part { kRest, kVocabulary, kMerges };

  std::string PartKey() const { return part_ == Part::kMerges ? "model.merges" : "model.vocab"; }
  bool AtModel() const { return open_.size() == 2 && model_open_; }

  bool Problem(const std::string& key, const std::string& what) {
    problem_ = key + ": " + what + "; " +
               (key == "model.merges" ? "[\"a\", \"b\"] or \"a b\" is needed"
                                      : "token ids from 0 to 16777215 are needed");
    return false;
  }

  bool Number(int64_t number, Json value) {
    if (part_ != Part::kVocabulary) return Value(std::move(value));
    if (number < 0 || number > kMaxTokenId) return Problem("model.vocab", "an id out of range");
    file_->vocabulary.emplace_back(std::move(key_), static_cast<int32_t>(number));
    return true;
  }

  bool Value(Json value) {
    if (part_ != Part::kRest) return Problem(PartKey(), "a value of another type");
    Place(std::move(value));
    return true;
  }

  Json* Place(Json value) {
    if (open_.empty()) {
      file_->rest = std::move(value);
      return &file_->rest;
    }
    Json& parent = *open_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    return &(parent[key_] = std::move(value));
  }

  bool Open(Json value) {
    if (open_.size() >= 64) {
      problem_ = "nested deeper than 64 levels; a tokenizer.json is needed";
      return false;
    }
    if (open_.size() == 1) model_open_ = key_ == "model";
    open_.push_back(Place(std::move(value)));
    return true;
  }

  bool Close() {
    open_.pop_back();
    return true;
  }

  TokenizerFile* file_;
  std::string problem_;
  std::string key_;
  std::vector<Json*> open_;  // stays valid: only the innermost grows
  bool model_open_ = false;
  Part part_ = Part::kRest;
  bool has_merges_ = false;
  bool in_pair_ = false;
  std::vector<std::string> pair_;
};

absl::StatusOr<AddedToken> ParseAddedToken(const Json& value, const std::string& where) {
  const auto id = value.find("id");
  const auto content = value.find("content");
  if (!value.is_object() || id == value.end() || !id->is_number_integer() ||
      content == value.end() || !content->is_string() ||
      content->get_ref<const std::string&>().empty()) {
    return InputError(where, "is no added token",
                      "an object with \"id\" and \"content\" is needed");
  }
  if (id->get<int64_t>() < 0 || id->get<int64_t>() > kMaxTokenId) {
    return InputError(where + ".id", "is out of range", "0 to 16777215");
  }
  const auto flag = [&value](const char* key) {
    const auto found = value.find(key);
    return found != value.end() && found->is_boolean() && found->get<bool>();
  };
  for (const char* key : {"single_word", "lstrip", "rstrip"}) {
    if (flag(key)) {
      return InputError(where + "." + key, "true is not supported", "only false is supported");
    }
  }
  return AddedToken{static_cast<int32_t>(id->get<int64_t>()), content->get<std::string>(),
                    flag("special"), flag("normalized")};
}

}  // namespace

absl::StatusOr<std::string> ReadTextFile(const std::string& path) {
  constexpr std::string_view kNeeded = "a readable file is needed";
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return InputError(path, "is a folder", kNeeded);
  errno = 0;
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in) return InputError(path, errno != 0 ? std::strerror(errno) : "can't be read", kNeeded);
  const std::streamoff size = in.tellg();
  std::string text(static_cast<size_t>(std::max<std::streamoff>(size, 0)), '\0');
  in.seekg(0);
  in.read(text.data(), size);
  if (size < 0 || in.gcount() != size) return InputError(path, "can't be read", kNeeded);
  return text;
}

absl::StatusOr<Json> ReadJsonFile(const std::string& path) {
  ATTNRL_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
  ATTNRL_RETURN_IF_ERROR(RefuseLfsPointer(path, text));
  JsonFault fault;
  absl::StatusOr<Json> value = ParseJson(text, &fault);
  if (!value.ok() && fault.kind == JsonFault::Kind::kDepth) return Annotate(value.status(), path);
  if (!value.ok() || !value->is_object()) {
    return InputError(path, "not valid JSON", "a JSON object is needed");
  }
  return value;
}

absl::StatusOr<TokenizerFile> ReadTokenizerFile(const std::string& path) {
  ATTNRL_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
  ATTNRL_RETURN_IF_ERROR(RefuseLfsPointer(path, text));
  TokenizerFile file;
  file.path = path;
  FileReader reader(&file);
  if (!WalkJson(text, &reader)) {
    const std::string& problem = reader.problem();
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", problem));
  }
  if (!file.rest.is_object() || !file.rest.contains("model") || file.vocabulary.empty()) {
    return InputError(path + ": model.vocab", "is missing or empty", "a tokenizer.json is needed");
  }
  if (!reader.has_merges()) {
    return InputError(path + ": model.merges", "is missing or no list", "a list of merges");
  }
  const Json added = file.rest.value("added_tokens", Json::array());
  if (!added.is_array()) {
    return InputError(path + ": added_tokens", "is no list", "a list of added tokens");
  }
  for (size_t i = 0; i < added.size(); ++i) {
    ATTNRL_ASSIGN_OR_RETURN(
        AddedToken token, ParseAddedToken(added[i], absl::StrCat(path, ": added_tokens[", i, "]")));
    file.added_tokens.push_back(std::move(token));
  }
  return file;
}

}  // namespace attnrl::text
