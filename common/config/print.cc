// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "common/config/config.h"
#include "common/config/key.h"

namespace attnrl::config {
namespace {

constexpr size_t kColumns = 100;

constexpr char kReferenceHead[] =
    "# SPDX-License-Identifier: Apache-2.0\n"
    "# Every key of the configuration with its default. A file needs only the keys that differ.\n"
    "# Precedence: default < file < environment (run.steps is ATTNRL_RUN_STEPS) < --set "
    "run.steps=5.\n"
    "# Relative paths start from the folder of the file, elsewhere from the working directory.\n";

constexpr char kResolvedHead[] =
    "# The configuration of this run as resolved: every key, absolute paths.\n";

size_t Depth(const std::string& section) {
  return static_cast<size_t>(std::count(section.begin(), section.end(), '.'));
}

std::string Indent(size_t depth) { return std::string(2 * depth, ' '); }

// Comment lines of at most kColumns.
std::string Comment(const std::string& text, const std::string& indent) {
  std::string out;
  std::string line = indent + "#";
  for (const std::string& word : std::vector<std::string>(absl::StrSplit(text, ' '))) {
    if (line.size() + 1 + word.size() > kColumns) {
      absl::StrAppend(&out, line, "\n");
      line = indent + "#";
    }
    absl::StrAppend(&line, " ", word);
  }
  return absl::StrCat(out, line, "\n");
}

// Lines of the sections that begin between two neighbouring keys.
std::string Headers(const std::string& section, std::vector<std::string>* open, bool comments) {
  std::string out;
  for (size_t end = section.find('.');; end = section.find('.', end + 1)) {
    const std::string name = section.substr(0, end);
    if (std::find(open->begin(), open->end(), name) == open->end()) {
      open->push_back(name);
      const std::string indent = Indent(Depth(name));
      const auto& sections = Sections();
      const auto found = std::find_if(sections.begin(), sections.end(),
                                      [&](const auto& each) { return each.first == name; });
      if (comments) absl::StrAppend(&out, "\n", indent, "# ---- ", found->second, " ----\n");
      absl::StrAppend(&out, indent, name.substr(name.rfind('.') + 1), ":\n");
    }
    if (end == std::string::npos) return out;
  }
}

std::string Emit(const Config& config, bool comments) {
  std::string out;
  std::vector<std::string> open;
  // A section's own values first, then the sections within it: YAML has each section in one piece.
  std::vector<const Key*> keys;
  for (const auto& key : Schema()) keys.push_back(key.get());
  std::stable_sort(keys.begin(), keys.end(), [](const Key* a, const Key* b) {
    const std::string top_a = a->name().substr(0, a->name().find('.'));
    const std::string top_b = b->name().substr(0, b->name().find('.'));
    return top_a == top_b && Depth(a->section()) < Depth(b->section());
  });
  for (const Key* key : keys) {
    absl::StrAppend(&out, Headers(key->section(), &open, comments));
    const std::string indent = Indent(Depth(key->section()) + 1);
    if (comments) {
      absl::StrAppend(&out,
                      Comment(absl::StrCat(key->comment(), " (", key->Allowed(), ")"), indent));
    }
    absl::StrAppend(&out, indent, key->leaf(), ": ", key->Print(config), "\n");
  }
  return out;
}

std::string HelpLine(const Key& key) {
  return absl::StrCat(key.name(), " (default ", key.Print(Config()), "; ", key.Allowed(),
                      "): ", key.comment(), "\n");
}

}  // namespace

std::string ToYaml(const Config& config) {
  return absl::StrCat(kResolvedHead, Emit(config, /*comments=*/false), PrintStages(config.stages));
}

std::string ReferenceYaml() {
  return absl::StrCat(kReferenceHead, Emit(Config(), /*comments=*/true), "\n", ReferenceStages());
}

absl::StatusOr<std::string> KeyHelp(const std::string& key) {
  std::string out;
  for (const auto& each : Schema()) {
    if (each->name() == key || each->name().rfind(key + ".", 0) == 0) {
      absl::StrAppend(&out, HelpLine(*each));
    }
  }
  if (key == "stages") return ReferenceStages();
  if (out.empty()) return UnknownKey("configuration", key);
  return out;
}

}  // namespace attnrl::config
