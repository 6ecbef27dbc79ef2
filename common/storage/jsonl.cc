// SPDX-License-Identifier: Apache-2.0
#include "common/storage/jsonl.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/storage/files.h"

namespace attnrl::storage {
namespace {

using nlohmann::json;

absl::StatusOr<JsonLine> Parse(const std::string& text, const std::string& name, int64_t number) {
  JsonLine line{.value = {}, .line = number, .where = absl::StrCat(name, ":", number)};
  try {
    line.value = json::parse(text);
  } catch (const json::parse_error& error) {
    return InputError(line.where, absl::StrCat("not JSON (at column ", error.byte, ")"),
                      "one JSON object a line is allowed");
  }
  if (!line.value.is_object()) {
    return InputError(line.where, absl::StrCat("a JSON ", line.value.type_name()),
                      "one JSON object a line is allowed");
  }
  return line;
}

absl::Status Missing(const JsonLine& line, const char* name, const char* needed) {
  return InputError(line.where, absl::StrCat("field \"", name, "\" is missing"),
                    absl::StrCat(needed, " is needed"));
}

absl::Status Mistyped(const JsonLine& line, const char* name, const json& found,
                      const char* needed) {
  return InputError(line.where, absl::StrCat("field \"", name, "\" is a ", found.type_name()),
                    absl::StrCat(needed, " is needed"));
}

const json* Find(const JsonLine& line, const char* name) {
  const auto found = line.value.find(name);
  return found == line.value.end() || found->is_null() ? nullptr : &*found;
}

bool IsInt(const json& value) { return value.is_number_integer(); }

// One field of one type: `needed` in words, `fits` tells the type, `take` the value.
template <typename T, typename Fits, typename Take>
absl::StatusOr<std::optional<T>> Field(const JsonLine& line, const char* name, const char* needed,
                                       Fits fits, Take take) {
  const json* value = Find(line, name);
  if (value == nullptr) return std::optional<T>();
  if (!fits(*value)) return Mistyped(line, name, *value, needed);
  return std::optional<T>(take(*value));
}

template <typename T>
absl::StatusOr<T> Required(absl::StatusOr<std::optional<T>> field, const JsonLine& line,
                           const char* name, const char* needed) {
  if (!field.ok()) return field.status();
  if (!field->has_value()) return Missing(line, name, needed);
  return **std::move(field);
}

constexpr char kString[] = "a string";
constexpr char kNumber[] = "a number";
constexpr char kInt[] = "an integer";
constexpr char kIds[] = "a list of token ids";
constexpr char kStrings[] = "a list of strings";

bool AreIds(const json& value) {
  if (!value.is_array()) return false;
  for (const json& id : value) {
    if (!IsInt(id) || id < 0 || id > std::numeric_limits<int32_t>::max()) return false;
  }
  return true;
}

bool AreStrings(const json& value) {
  if (!value.is_array()) return false;
  for (const json& text : value) {
    if (!text.is_string()) return false;
  }
  return true;
}

}  // namespace

absl::Status ReadJsonLines(const std::string& path, bool skip_bad, int64_t* skipped,
                           const std::function<absl::Status(const JsonLine&)>& use) {
  std::ifstream file;
  const bool standard = path == "-";
  if (!standard) {
    // Opening a folder succeeds and then reads nothing.
    if (!std::filesystem::is_directory(path)) file.open(path, std::ios::binary);
    if (!file.is_open()) {
      return InputError(path, "cannot be read", "a JSON Lines file or - is allowed");
    }
  }
  std::istream& in = standard ? std::cin : file;
  const std::string name = standard ? "stdin" : path;
  std::string text;
  for (int64_t number = 1; std::getline(in, text); ++number) {
    if (text.find_first_not_of(" \t\r") == std::string::npos) continue;
    const absl::StatusOr<JsonLine> line = Parse(text, name, number);
    const absl::Status status = line.ok() ? use(*line) : line.status();
    if (status.ok()) continue;
    if (!skip_bad || !IsInputError(status)) return status;
    if (skipped != nullptr) ++*skipped;
  }
  if (in.bad()) return absl::InternalError(name + ": reading failed");
  return absl::OkStatus();
}

absl::StatusOr<std::optional<std::string>> OptionalStringField(const JsonLine& line,
                                                               const char* name) {
  return Field<std::string>(
      line, name, kString, [](const json& v) { return v.is_string(); },
      [](const json& v) { return v.get<std::string>(); });
}

absl::StatusOr<std::optional<double>> OptionalNumberField(const JsonLine& line, const char* name) {
  return Field<double>(
      line, name, kNumber, [](const json& v) { return v.is_number(); },
      [](const json& v) { return v.get<double>(); });
}

absl::StatusOr<std::optional<int64_t>> OptionalIntField(const JsonLine& line, const char* name) {
  return Field<int64_t>(line, name, kInt, IsInt, [](const json& v) { return v.get<int64_t>(); });
}

absl::StatusOr<std::string> StringField(const JsonLine& line, const char* name) {
  return Required(OptionalStringField(line, name), line, name, kString);
}

absl::StatusOr<double> NumberField(const JsonLine& line, const char* name) {
  return Required(OptionalNumberField(line, name), line, name, kNumber);
}

absl::StatusOr<int64_t> IntField(const JsonLine& line, const char* name) {
  return Required(OptionalIntField(line, name), line, name, kInt);
}

absl::StatusOr<std::vector<int32_t>> IntListField(const JsonLine& line, const char* name) {
  return Required(
      Field<std::vector<int32_t>>(line, name, kIds, AreIds,
                                  [](const json& v) { return v.get<std::vector<int32_t>>(); }),
      line, name, kIds);
}

absl::StatusOr<std::vector<std::string>> StringListField(const JsonLine& line, const char* name) {
  return Required(Field<std::vector<std::string>>(
                      line, name, kStrings, AreStrings,
                      [](const json& v) { return v.get<std::vector<std::string>>(); }),
                  line, name, kStrings);
}

bool HasField(const JsonLine& line, const char* name) { return Find(line, name) != nullptr; }

struct JsonLinesWriter::State {
  std::string path;
  std::string unfinished;  // empty for stdout
  std::ofstream file;
  std::ostream* out = nullptr;
};

JsonLinesWriter::JsonLinesWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
JsonLinesWriter::JsonLinesWriter(JsonLinesWriter&&) noexcept = default;
JsonLinesWriter& JsonLinesWriter::operator=(JsonLinesWriter&&) noexcept = default;

JsonLinesWriter::~JsonLinesWriter() {
  if (state_ != nullptr && !state_->unfinished.empty()) ::unlink(state_->unfinished.c_str());
}

absl::StatusOr<JsonLinesWriter> JsonLinesWriter::Open(const std::string& path) {
  auto state = std::make_unique<State>();
  state->path = path;
  if (path == "-") {
    state->out = &std::cout;
    return JsonLinesWriter(std::move(state));
  }
  const std::string unfinished = absl::StrCat(path, ".unfinished-", ::getpid());
  state->file.open(unfinished, std::ios::binary | std::ios::trunc);
  if (!state->file.good()) {
    return InputError(path, "cannot be written", "a file in a folder that exists is allowed");
  }
  state->unfinished = unfinished;
  state->out = &state->file;
  return JsonLinesWriter(std::move(state));
}

absl::Status JsonLinesWriter::Write(const nlohmann::ordered_json& record) {
  *state_->out << record.dump(-1, ' ', false, json::error_handler_t::replace) << '\n';
  if (state_->out->good()) return absl::OkStatus();
  return ErrnoStatus("cannot be written", state_->path);
}

absl::Status JsonLinesWriter::Close() {
  state_->out->flush();
  if (!state_->out->good()) return ErrnoStatus("cannot be written", state_->path);
  if (state_->unfinished.empty()) return absl::OkStatus();
  state_->file.close();
  ATTNRL_RETURN_IF_ERROR(RenameDurably(state_->unfinished, state_->path));
  state_->unfinished.clear();
  return absl::OkStatus();
}

}  // namespace attnrl::storage
