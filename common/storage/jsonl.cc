// SPDX-License-Identifier: Apache-2.0
#include "common/storage/jsonl.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ext/stdio_filebuf.h>
#include <filesystem>
#include <iostream>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/json/json.h"
#include "common/storage/file_error.h"
#include "common/storage/files.h"
#include "common/storage/record_texts.h"
#include "common/storage/zstd_text.h"

namespace attnrl::storage {
namespace {

using nlohmann::json;

constexpr char kObject[] = "one JSON object a line is needed";
constexpr char kListed[] = "a list of JSON objects is needed";
constexpr char kText[] = "text is needed";
constexpr char kNumber[] = "a number is needed";
constexpr char kWhole[] = "a whole number is needed";
constexpr char kTruth[] = "true or false is needed";
constexpr char kTexts[] = "a list of texts is needed";
constexpr char kNumbers[] = "a list of numbers is needed";
constexpr char kWholes[] = "a list of whole numbers is needed";

// Where byte `byte`, from 1, of a record stands: the line, and the byte in it. Records of a list
// may have several lines.
std::pair<int64_t, size_t> PlaceOf(const RecordText& record, size_t byte) {
  const std::string_view before = record.text.substr(0, byte > 0 ? byte - 1 : 0);
  const size_t line_end = before.rfind('\n');
  if (line_end == std::string_view::npos) return {record.line, byte};
  return {record.line + std::count(before.begin(), before.end(), '\n'), byte - line_end - 1};
}

// What the file has so far outlives a loss of power.
absl::Status SyncFile(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return FileError(path, "opening", errno);
  const absl::Status synced = SyncDescriptor(file, path);
  ::close(file);
  return synced;
}

// Parses one record; the error says where in the file.
absl::Status Parse(const std::string& path, const RecordText& text, JsonLine* record) {
  // A file may begin with a byte order mark.
  const size_t begin = text.line == 1 && text.text.substr(0, 3) == "\xef\xbb\xbf" ? 3 : 0;
  const char* needed = text.record > 0 ? kListed : kObject;
  JsonFault fault;
  absl::StatusOr<json> value = ParseJson(text.text.substr(begin), &fault);
  if (value.ok()) {
    record->value = *std::move(value);
    if (record->value.is_object()) return absl::OkStatus();
    return BadRecord(*record, absl::StrCat("found ", record->value.type_name()), needed);
  }
  switch (fault.kind) {
    case JsonFault::Kind::kSyntax: {
      const auto [line, byte] = PlaceOf(text, fault.byte + begin);
      const std::string what = absl::StrCat("not JSON at byte ", byte);
      if (text.record == 0) return BadRecord(*record, what, needed);
      return InputError(absl::StrCat(path, ":", line, " (record ", text.record, ")"), what, needed);
    }
    case JsonFault::Kind::kNumber:
      return BadRecord(*record, "a number is out of range", "numbers must fit a double");
    case JsonFault::Kind::kDepth:
      break;
  }
  return Annotate(value.status(), record->where);
}

absl::Status ReadStream(std::istream& stream, const std::string& path, bool lists, bool skip_bad,
                        int64_t* skipped, const std::function<absl::Status(const JsonLine&)>& use) {
  RecordTexts texts(stream, path, lists);
  RecordText text;
  JsonLine record;
  while (true) {
    ATTNRL_ASSIGN_OR_RETURN(const bool found, texts.Next(&text));
    if (!found) break;
    record.line = text.line;
    record.where = text.where;
    record.record = text.record;
    record.text = text.text;
    absl::Status status = Parse(path, text, &record);
    if (status.ok()) status = use(record);
    if (status.ok()) continue;
    if (!skip_bad || !IsInputError(status)) return status;
    if (skipped != nullptr) ++*skipped;
  }
  if (stream.bad()) return absl::InternalError(absl::StrCat(path, ": reading failed"));
  return absl::OkStatus();
}

// What keeps a file from being opened. The names of a run's files end with ".zst" or not, as
// observe.trees says: where one of a pair is asked for, the error names the other.
absl::Status CheckReadable(const std::string& path) {
  constexpr char kFile[] = "a JSON Lines file is needed";
  std::error_code none;
  if (std::filesystem::is_directory(path, none)) {
    return InputError(path, "is a directory", kFile);
  }
  if (::access(path.c_str(), R_OK) == 0) return absl::OkStatus();
  const int error = errno;
  const std::string other = OtherName(path);
  return InputError(path, absl::StrCat("can't be read: ", std::strerror(error)),
                    error == ENOENT && std::filesystem::is_regular_file(other, none)
                        ? absl::StrCat("there is ", other)
                        : kFile);
}

absl::Status ReadAll(const std::string& path, bool lists, bool skip_bad, int64_t* skipped,
                     const std::function<absl::Status(const JsonLine&)>& use) {
  if (path == "-") return ReadStream(std::cin, path, lists, skip_bad, skipped, use);
  ATTNRL_RETURN_IF_ERROR(CheckReadable(path));
  if (IsCompressed(path)) {
    CompressedInput compressed(path);
    const absl::Status status = ReadStream(compressed, path, lists, skip_bad, skipped, use);
    // A record may be bad because the file is damaged, which its checksum at the end says. A small
    // file may have an end that is far away.
    if (!status.ok()) compressed.ignore(kMaxRecordBytes);
    return compressed.error().ok() ? status : compressed.error();
  }
  std::ifstream file(path, std::ios::binary);
  if (!file.is_open()) return absl::InternalError(absl::StrCat(path, ": reading failed"));
  return ReadStream(file, path, lists, skip_bad, skipped, use);
}

// `name: found number` with a short excerpt of the value.
std::string Found(const char* name, const json& value) {
  return absl::StrCat("field \"", name, "\" is ", OneLine(PrintJson(value), 40));
}

// The field, or the error that it is missing.
absl::StatusOr<const json*> Field(const JsonLine& line, const char* name, const char* needed) {
  const auto found = line.value.find(name);
  if (found == line.value.end()) {
    return BadRecord(line, absl::StrCat("field \"", name, "\" is missing"), needed);
  }
  return &*found;
}

std::optional<int64_t> Whole(const json& value) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<uint64_t>();
    if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
    return static_cast<int64_t>(number);
  }
  if (value.is_number_integer()) return value.get<int64_t>();
  return std::nullopt;
}

}  // namespace

absl::Status BadRecord(const JsonLine& line, std::string_view what, std::string_view allowed) {
  return InputError(line.where, what, allowed);
}

absl::Status ReadJsonLines(const std::string& path, bool skip_bad, int64_t* skipped,
                           const std::function<absl::Status(const JsonLine&)>& use) {
  return ReadAll(path, /*lists=*/false, skip_bad, skipped, use);
}

absl::Status ReadRecords(const std::string& path, bool skip_bad, int64_t* skipped,
                         const std::function<absl::Status(const JsonLine&)>& use) {
  return ReadAll(path, /*lists=*/true, skip_bad, skipped, use);
}

absl::StatusOr<std::string> StringField(const JsonLine& line, const char* name) {
  ATTNRL_ASSIGN_OR_RETURN(const json* value, Field(line, name, kText));
  if (!value->is_string()) return BadRecord(line, Found(name, *value), kText);
  return value->get<std::string>();
}

absl::StatusOr<double> NumberField(const JsonLine& line, const char* name) {
  ATTNRL_ASSIGN_OR_RETURN(const json* value, Field(line, name, kNumber));
  if (!value->is_number()) return BadRecord(line, Found(name, *value), kNumber);
  return value->get<double>();
}

absl::StatusOr<int64_t> IntField(const JsonLine& line, const char* name) {
  ATTNRL_ASSIGN_OR_RETURN(const json* value, Field(line, name, kWhole));
  const std::optional<int64_t> number = Whole(*value);
  if (!number.has_value()) return BadRecord(line, Found(name, *value), kWhole);
  return *number;
}

absl::StatusOr<bool> BoolField(const JsonLine& line, const char* name) {
  ATTNRL_ASSIGN_OR_RETURN(const json* value, Field(line, name, kTruth));
  if (!value->is_boolean()) return BadRecord(line, Found(name, *value), kTruth);
  return value->get<bool>();
}

absl::StatusOr<std::vector<std::string>> StringListField(const JsonLine& line, const char* name) {
  ATTNRL_ASSIGN_OR_RETURN(const json* value, Field(line, name, kTexts));
  if (!value->is_array()) return BadRecord(line, Found(name, *value), kTexts);
  std::vector<std::string> out;
  for (const json& item : *value) {
    if (!item.is_string()) return BadRecord(line, Found(name, *value), kTexts);
    out.push_back(item.get<std::string>());
  }
  return out;
}

absl::StatusOr<std::vector<double>> NumberListField(const JsonLine& line, const char* name) {
  ATTNRL_ASSIGN_OR_RETURN(const json* value, Field(line, name, kNumbers));
  if (!value->is_array()) return BadRecord(line, Found(name, *value), kNumbers);
  std::vector<double> out;
  out.reserve(value->size());
  for (const json& item : *value) {
    if (!item.is_number()) return BadRecord(line, Found(name, *value), kNumbers);
    out.push_back(item.get<double>());
  }
  return out;
}

absl::StatusOr<std::vector<int32_t>> IntListField(const JsonLine& line, const char* name) {
  ATTNRL_ASSIGN_OR_RETURN(const json* value, Field(line, name, kWholes));
  if (!value->is_array()) return BadRecord(line, Found(name, *value), kWholes);
  std::vector<int32_t> out;
  out.reserve(value->size());
  for (const json& item : *value) {
    const std::optional<int64_t> number = Whole(item);
    if (!number.has_value() || *number < std::numeric_limits<int32_t>::min() ||
        *number > std::numeric_limits<int32_t>::max()) {
      return BadRecord(
          line, absl::StrCat("field \"", name, "\" holds ", OneLine(PrintJson(item), 40)), kWholes);
    }
    out.push_back(static_cast<int32_t>(*number));
  }
  return out;
}

absl::StatusOr<json> AnyField(const JsonLine& line, const char* name) {
  ATTNRL_ASSIGN_OR_RETURN(const json* value, Field(line, name, "any value is allowed"));
  if (value->is_number_float()) {
    return BadRecord(line, Found(name, *value),
                     "a text or a whole number of 64 bits goes back as it came");
  }
  return *value;
}

bool HasField(const JsonLine& line, const char* name) {
  const auto found = line.value.find(name);
  return found != line.value.end() && !found->is_null();
}

absl::StatusOr<std::optional<std::string>> OptionalStringField(const JsonLine& line,
                                                               const char* name) {
  if (!HasField(line, name)) return std::optional<std::string>();
  return StringField(line, name);
}

absl::StatusOr<std::optional<double>> OptionalNumberField(const JsonLine& line, const char* name) {
  if (!HasField(line, name)) return std::optional<double>();
  return NumberField(line, name);
}

absl::StatusOr<std::optional<int64_t>> OptionalIntField(const JsonLine& line, const char* name) {
  if (!HasField(line, name)) return std::optional<int64_t>();
  return IntField(line, name);
}

absl::StatusOr<JsonLinesWriter> JsonLinesWriter::Open(const std::string& path) {
  if (path.empty()) {
    return InputError("the output", "its name is empty", "a path, or - for standard output");
  }
  const std::optional<int> descriptor = NamedDescriptor(path);
  if (path == "-" || descriptor == STDOUT_FILENO) return JsonLinesWriter(path, path, nullptr);
  if (descriptor) {
    // The same open file, so that its place is shared with whoever else writes there.
    auto shared = std::make_unique<std::ofstream>();
    *shared->rdbuf() =
        __gnu_cxx::stdio_filebuf<char>(::dup(*descriptor), std::ios::out | std::ios::binary);
    if (!shared->is_open()) {
      return InputError(path, absl::StrCat("can't be written: ", std::strerror(errno)),
                        "an open descriptor");
    }
    return JsonLinesWriter(path, path, std::move(shared));
  }
  std::error_code error;
  const auto kind = std::filesystem::status(path, error).type();
  const bool plain =
      kind == std::filesystem::file_type::regular || kind == std::filesystem::file_type::not_found;
  // A link stays one: what it points to is replaced.
  const std::string place = kind == std::filesystem::file_type::regular
                                ? std::filesystem::canonical(path, error).string()
                                : path;
  const std::string written = plain ? absl::StrCat(place, ".tmp-", ::getpid()) : path;
  auto file = std::make_unique<std::ofstream>(written, std::ios::binary | std::ios::trunc);
  if (!*file) {
    return InputError(path, absl::StrCat("can't be written: ", std::strerror(errno)),
                      "a path in an existing folder, or - for standard output");
  }
  return JsonLinesWriter(place, written, std::move(file));
}

JsonLinesWriter::~JsonLinesWriter() {
  if (file_ == nullptr || written_ == path_) return;
  file_->close();
  std::error_code error;  // nothing else can be done about it here
  std::filesystem::remove(written_, error);
}

std::ostream& JsonLinesWriter::stream() const { return file_ == nullptr ? std::cout : *file_; }

absl::Status JsonLinesWriter::Check() const {
  return stream() ? absl::OkStatus() : FileError(path_, "writing", errno);
}

absl::Status JsonLinesWriter::Write(const nlohmann::ordered_json& record) {
  errno = 0;
  stream() << PrintJson(record) << '\n';
  return Check();
}

absl::Status JsonLinesWriter::Close() {
  errno = 0;
  stream().flush();
  ATTNRL_RETURN_IF_ERROR(Check());
  if (file_ == nullptr) return absl::OkStatus();
  file_->close();
  ATTNRL_RETURN_IF_ERROR(Check());
  if (written_ != path_) {
    ATTNRL_RETURN_IF_ERROR(SyncFile(written_));
    ATTNRL_RETURN_IF_ERROR(RenameDurably(written_, path_));
  }
  file_.reset();
  return absl::OkStatus();
}

}  // namespace attnrl::storage
