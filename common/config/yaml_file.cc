// SPDX-License-Identifier: Apache-2.0
// From YAML to assignments; the only file that knows yaml-cpp.
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "common/config/key.h"

namespace attnrl::config {
namespace {

constexpr size_t kMaxFileBytes = 1 << 20;
constexpr char kFromStep[] = "from_step";
constexpr char kStageForm[] =
    "a list of {from_step: 100, learner.learning_rate: 5e-7} and the like";

// False for what is neither one value nor a flat list of them.
bool ReadValue(const YAML::Node& node, Written* written) {
  if (node.IsScalar()) {
    written->items = {node.Scalar()};
    written->quoted = node.Tag() == "!";
    return true;
  }
  if (!node.IsSequence()) return false;
  written->is_list = true;
  for (const YAML::Node& item : node) {
    if (!item.IsScalar()) return false;
    written->items.push_back(item.Scalar());
  }
  return true;
}

// Walks one file.
class Reader {
 public:
  explicit Reader(const std::string& file)
      : file_(file),
        base_(std::filesystem::absolute(file).parent_path().lexically_normal().string()) {}

  absl::Status ReadSection(const YAML::Node& node, const std::string& section) {
    if (node.IsNull()) return absl::OkStatus();  // a section without keys
    if (!node.IsMap()) {
      if (!section.empty()) {
        return InputError(Where(node.Mark()), absl::StrCat(section, " is a section, not a value"),
                          "keys with values are needed");
      }
      return InputError(
          Where(node.Mark()),
          absl::StrCat("the file is a ", node.IsScalar() ? "text" : "list", ", no configuration"),
          "sections with keys, such as run: {steps: 100}");
    }
    std::set<std::string> seen;
    for (const auto& entry : node) {
      const std::string where = Where(entry.first.Mark());
      if (!entry.first.IsScalar()) return InputError(where, "a key is no word", "key: value");
      const std::string leaf = entry.first.Scalar();
      const std::string name = section.empty() ? leaf : absl::StrCat(section, ".", leaf);
      if (!seen.insert(leaf).second) {
        return InputError(where, absl::StrCat("key \"", OneLine(name, 80), "\" is there twice"),
                          "each key once");
      }
      if (in_stage_ && name == kFromStep) continue;
      ATTNRL_RETURN_IF_ERROR(ReadEntry(name, where, entry.second));
    }
    return absl::OkStatus();
  }

  FileContent Take() { return {std::move(assignments_), std::move(stages_)}; }
  std::string Where(const YAML::Mark& mark) const {
    return mark.is_null() ? file_ : absl::StrCat(file_, ":", mark.line + 1);
  }

 private:
  absl::Status ReadEntry(const std::string& name, const std::string& where,
                         const YAML::Node& value) {
    if (name == "stages") return ReadStages(where, value);
    if (IsSection(name)) return ReadSection(value, name);
    const Key* key = FindKey(name);
    if (key == nullptr) return UnknownKey(where, name);
    Assignment assignment{.key = key, .where = where, .base = base_};
    if (!ReadValue(value, &assignment.written)) {
      return InputError(where,
                        absl::StrCat(name, value.IsNull() ? " has no value" : " is no plain value"),
                        key->Allowed());
    }
    assignments_.push_back(std::move(assignment));
    return absl::OkStatus();
  }

  absl::Status ReadStages(const std::string& where, const YAML::Node& list) {
    if (in_stage_) return InputError(where, "a stage within a stage", "a list of stages, once");
    if (list.IsNull()) return absl::OkStatus();  // all of them are comments
    if (!list.IsSequence()) return InputError(where, "stages is no list", kStageForm);
    for (const YAML::Node& entry : list) {
      const std::string here = Where(entry.Mark());
      if (!entry.IsMap()) return InputError(here, "a stage is no map of keys", kStageForm);
      WrittenStage stage{.where = here};
      Reader reader(file_);
      reader.in_stage_ = true;
      bool begins = false;
      for (const auto& setting : entry) {
        if (!setting.first.IsScalar() || setting.first.Scalar() != kFromStep) continue;
        if (begins) return InputError(here, "from_step is there twice", "each key once");
        begins = setting.second.IsScalar() &&
                 absl::SimpleAtoi(setting.second.Scalar(), &stage.from_step);
        if (!begins) break;
      }
      if (!begins) return InputError(here, "a stage without a step to begin at", kStageForm);
      ATTNRL_RETURN_IF_ERROR(reader.ReadSection(entry, ""));
      stage.assignments = std::move(reader.assignments_);
      stages_.push_back(std::move(stage));
    }
    return absl::OkStatus();
  }

  const std::string file_;
  const std::string base_;
  bool in_stage_ = false;
  std::vector<Assignment> assignments_;
  std::vector<WrittenStage> stages_;
};

// YAML has no control characters but tab and line ends. yaml-cpp lets them pass, and takes NUL for
// the backslash of an escape.
absl::Status CheckPrintable(const std::string& file, const std::string& text) {
  int line = 1;
  for (const char c : text) {
    if (c == '\n') ++line;
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 || c == '\t' || c == '\n' || c == '\r') continue;
    return InputError(absl::StrCat(file, ":", line),
                      absl::StrFormat("holds the control character \\x%02x", byte),
                      "text in UTF-8; in double quotes \\x.. stands for such a character");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadText(const std::string& file) {
  std::error_code error;
  const bool directory = std::filesystem::is_directory(file, error);
  std::ifstream stream(file, std::ios::binary);
  if (!stream || directory) {
    return InputError(file, directory ? "is a directory" : std::strerror(errno),
                      "a configuration file is needed");
  }
  // One more than allowed: /dev/zero has no end.
  std::string text(kMaxFileBytes + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(stream.gcount()));
  if (text.size() > kMaxFileBytes) {
    return InputError(file, "is too long",
                      absl::StrCat("a configuration has at most ", kMaxFileBytes, " bytes"));
  }
  ATTNRL_RETURN_IF_ERROR(CheckPrintable(file, text));
  return text;
}

// Hears where each document begins.
class DocumentStarts final : public YAML::EventHandler {
 public:
  std::vector<YAML::Mark> marks;

 private:
  using Style = YAML::EmitterStyle::value;
  void OnDocumentStart(const YAML::Mark& mark) override { marks.push_back(mark); }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, Style) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, Style) override {}
  void OnMapEnd() override {}
};

// Whether line `line`, counted from 0, is the mark of a document.
bool BeginsWithDashes(const std::string& text, int line) {
  size_t begin = 0;
  for (; line > 0; --line) begin = text.find('\n', begin) + 1;
  return text.compare(begin, 3, "---") == 0;
}

// Where a second document begins. Asks for two and no more: of a text with a comma outside its
// brackets yaml-cpp makes documents without end, so LoadAll must never see it.
std::optional<YAML::Mark> SecondDocument(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  DocumentStarts starts;
  for (int document = 0; document < 2; ++document) {
    if (!parser.HandleNextDocument(starts)) return std::nullopt;
  }
  return starts.marks.back();
}

}  // namespace

absl::StatusOr<FileContent> ReadFile(const std::string& file) {
  ATTNRL_ASSIGN_OR_RETURN(const std::string text, ReadText(file));
  Reader reader(file);
  try {
    if (const std::optional<YAML::Mark> second = SecondDocument(text)) {
      return InputError(reader.Where(*second), "a second document begins here",
                        BeginsWithDashes(text, second->line)
                            ? "one is read; leave the line --- out"
                            : "one is read, of sections with keys: JSON Lines are a data set");
    }
    ATTNRL_RETURN_IF_ERROR(reader.ReadSection(YAML::Load(text), ""));
  } catch (const YAML::Exception& error) {
    return InputError(reader.Where(error.mark), absl::StrCat("not YAML: ", OneLine(error.msg)),
                      "a YAML file is needed");
  }
  return reader.Take();
}

Written ParsePlain(const Key& key, const std::string& text) {
  const bool wants_list = key.Allowed().rfind("a list", 0) == 0;
  if (!wants_list) return {.items = {text}};
  if (text.empty()) return {.is_list = true};
  if (text[0] != '[') return {.items = {text}};
  try {
    Written written;
    if (!SecondDocument(text) && ReadValue(YAML::Load(text), &written)) return written;
  } catch (
      const YAML::Exception&) {  // the same answer as for what YAML allows, but a list does not
  }
  return {.items = {text}, .malformed = true};
}

}  // namespace attnrl::config
