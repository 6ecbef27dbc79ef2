// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <fstream>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace attnrl::storage {

// One record of a file: an object.
struct JsonLine {
  nlohmann::json value;
  int64_t line = 0;    // from 1; that it begins on
  std::string where;   // "file:line", in a list "file:line (record 3)"; standard input is "-"
  int64_t record = 0;  // of a JSON list: its place in it, from 1; else 0
  std::string_view text = {};  // as it was read; gone when `use` returns
};

// Reads "-" (standard input) or a file, which may be compressed (zstd_text.h), one record a line;
// empty lines are passed over. A record that is no JSON object, or for which `use` returns an
// InputError, ends the reading with an InputError at file:line; with `skip_bad` it is counted in
// `*skipped` (may be null) and left out. A line longer than record_texts.h allows is an InputError
// that is never skipped. Any other error of `use` ends the reading. Memory: one line.
absl::Status ReadJsonLines(const std::string& path, bool skip_bad, int64_t* skipped,
                           const std::function<absl::Status(const JsonLine&)>& use);
// The same, and also a file that is one JSON list of objects, whatever its name ends with. A list
// that isn't closed is an InputError that is never skipped. Memory: one line, or a whole list.
absl::Status ReadRecords(const std::string& path, bool skip_bad, int64_t* skipped,
                         const std::function<absl::Status(const JsonLine&)>& use);

// Typed access to a record's fields. A field that is missing or of another type is the InputError
// `<where>: field "prompt_ids" is missing; a list of whole numbers is needed`. Unknown fields are
// not an error.
absl::StatusOr<std::string> StringField(const JsonLine& line, const char* name);
absl::StatusOr<double> NumberField(const JsonLine& line, const char* name);
absl::StatusOr<int64_t> IntField(const JsonLine& line, const char* name);
absl::StatusOr<bool> BoolField(const JsonLine& line, const char* name);
absl::StatusOr<std::vector<std::string>> StringListField(const JsonLine& line, const char* name);
absl::StatusOr<std::vector<double>> NumberListField(const JsonLine& line, const char* name);
// Token ids and other whole numbers within int32.
absl::StatusOr<std::vector<int32_t>> IntListField(const JsonLine& line, const char* name);
// Any type: a record's "id" may be text or a number, and goes back as it came. InputError for a
// number with a fraction or beyond 64 bits, which would not.
absl::StatusOr<nlohmann::json> AnyField(const JsonLine& line, const char* name);

// True where the field is there and not null.
bool HasField(const JsonLine& line, const char* name);
// nullopt where the field is missing or null; an error where it has another type.
absl::StatusOr<std::optional<std::string>> OptionalStringField(const JsonLine& line,
                                                               const char* name);
absl::StatusOr<std::optional<double>> OptionalNumberField(const JsonLine& line, const char* name);
absl::StatusOr<std::optional<int64_t>> OptionalIntField(const JsonLine& line, const char* name);

// The InputError for a record: `<where>: <what>; <allowed>`.
absl::Status BadRecord(const JsonLine& line, std::string_view what, std::string_view allowed);

// Writes records to "-" (standard output) or a file, one a line, in the order of their keys. A file
// appears whole at Close: until then records go to PATH.tmp-<process id>, which is removed with a
// writer that was never closed, and what PATH held before stays. What is no plain file (a pipe,
// /dev/null, the name of an open descriptor as /dev/stdout) is written directly. Text that is not
// UTF-8 is written with U+FFFD in place of its ill-formed parts. Doubles have as many digits as it
// takes to read the same bits back.
class JsonLinesWriter {
 public:
  // InputError when the file can't be made.
  static absl::StatusOr<JsonLinesWriter> Open(const std::string& path);
  ~JsonLinesWriter();
  JsonLinesWriter(JsonLinesWriter&& other) noexcept = default;
  JsonLinesWriter& operator=(JsonLinesWriter&&) = delete;
  // kResourceExhausted when the disk is full.
  absl::Status Write(const nlohmann::ordered_json& record);
  // Puts the file in its place, or reports what could not be written. Nothing may be written
  // afterwards.
  absl::Status Close();

 private:
  JsonLinesWriter(std::string path, std::string written, std::unique_ptr<std::ofstream> file)
      : path_(std::move(path)), written_(std::move(written)), file_(std::move(file)) {}
  std::ostream& stream() const;
  absl::Status Check() const;

  std::string path_;
  std::string written_;                  // where the records are until Close; maybe path_ itself
  std::unique_ptr<std::ofstream> file_;  // null: standard output, or closed
};

}  // namespace attnrl::storage
