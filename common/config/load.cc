// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/nearest.h"
#include "common/base/status.h"
#include "common/config/config.h"
#include "common/config/key.h"

extern char** environ;

namespace attnrl::config {
namespace {

constexpr std::string_view kPrefix = "ATTNRL_";

// Sources from weak to strong.
struct Sourced {
  FileContent file;
  std::vector<Assignment> environment;
  std::vector<Assignment> sets;
};

// Variables that the scripts and tests read, not the services (tools/README.md): no mistyped keys.
constexpr std::string_view kOfScripts[] = {
    "ATTNRL_BIN",          "ATTNRL_BUILD_DIR",     "ATTNRL_DEPS_DIR", "ATTNRL_IMAGE_TAG",
    "ATTNRL_KILL_SECONDS", "ATTNRL_SCENARIO_DISK", "ATTNRL_SHARED"};

bool IsOfScripts(const std::string& name) {
  return std::find(std::begin(kOfScripts), std::end(kOfScripts), name) != std::end(kOfScripts);
}

// The one of `known` that was meant; empty where none is near, and for what nobody mistypes.
std::string Meant(const std::string& word, const std::vector<std::string>& known) {
  constexpr size_t kLongest = 80;
  return word.size() > kLongest ? "" : attnrl::Nearest(word, known);
}

// " (did you mean ATTNRL_RUN_STEPS?)", or nothing.
std::string MeantVariable(const std::string& name) {
  std::vector<std::string> known;
  for (const auto& key : Schema()) known.push_back(key->variable().substr(kPrefix.size()));
  const std::string meant = Meant(absl::AsciiStrToUpper(name.substr(kPrefix.size())), known);
  return meant.empty() ? "" : absl::StrCat(" (did you mean ", std::string(kPrefix), meant, "?)");
}

std::vector<Assignment> FromEnvironment(const Variables& environment, const std::string& base,
                                        std::vector<std::string>* ignored) {
  std::vector<Assignment> assignments;
  for (const auto& [name, value] : environment) {
    if (name.rfind(kPrefix, 0) != 0) continue;
    const auto key = std::find_if(Schema().begin(), Schema().end(),
                                  [&](const auto& each) { return each->variable() == name; });
    if (key == Schema().end()) {
      if (!IsOfScripts(name)) ignored->push_back(name + MeantVariable(name));
      continue;
    }
    assignments.push_back({key->get(), ParsePlain(**key, value), name, base});
  }
  return assignments;
}

absl::StatusOr<std::vector<Assignment>> FromSets(const std::vector<std::string>& sets,
                                                 const std::string& base) {
  std::vector<Assignment> assignments;
  for (const std::string& set : sets) {
    const std::string where = absl::StrCat("--set ", OneLine(set, 120));
    const size_t equals = set.find('=');
    if (equals == std::string::npos) return InputError(where, "has no \"=\"", "a.b=value");
    const std::string name = set.substr(0, equals);
    if (name == "stages") {
      return InputError(where, "stages are a list of maps", "a file can hold them, --set can't");
    }
    const Key* key = FindKey(name);
    if (key == nullptr && IsSection(name)) {
      return InputError(where, absl::StrCat("\"", name, "\" is a section"), "name one of its keys");
    }
    if (key == nullptr) return UnknownKey(where, name);
    assignments.push_back({key, ParsePlain(*key, set.substr(equals + 1)), where, base});
  }
  return assignments;
}

bool NamesPreset(const std::vector<Assignment>& assignments) {
  return std::any_of(assignments.begin(), assignments.end(), [](const Assignment& assignment) {
    return assignment.key->name() == "algorithm.name";
  });
}

// The preset lies just below the strongest source that names it: first everything weaker, then the
// preset, then that source and what is stronger.
absl::Status ApplyAll(const Sourced& sourced, Config* config, Sources* sources) {
  const std::vector<const std::vector<Assignment>*> ranks = {&sourced.file.assignments,
                                                             &sourced.environment, &sourced.sets};
  size_t preset = ranks.size();
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    if (NamesPreset(*ranks[rank])) preset = rank;
  }
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    if (rank == preset) {
      // Its name and place first, by the source's own words.
      Config named;
      Sources where;
      ATTNRL_RETURN_IF_ERROR(Apply(*ranks[rank], &named, &where));
      for (const std::string& key : ApplyPreset(named.algorithm.name, config)) {
        (*sources)[key] = where["algorithm.name"];
      }
    }
    ATTNRL_RETURN_IF_ERROR(Apply(*ranks[rank], config, sources));
    FollowPairs(*ranks[rank], config, sources);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Apply(const std::vector<Assignment>& assignments, Config* config, Sources* sources) {
  for (const Assignment& assignment : assignments) {
    const Key& key = *assignment.key;
    if (!key.Set(assignment.written, assignment.base, config)) {
      const std::string found = absl::StrJoin(assignment.written.items, ", ");
      const std::string meant =
          Meant(absl::AsciiStrToLower(found), absl::StrSplit(key.Allowed(), " | "));
      return InputError(assignment.where,
                        absl::StrCat(key.name(), " is ", assignment.written.is_list ? "[" : "\"",
                                     OneLine(found, 80), assignment.written.is_list ? "]" : "\""),
                        meant.empty() ? key.Allowed()
                                      : absl::StrCat("did you mean ", meant, "? ", key.Allowed()));
    }
    (*sources)[key.name()] = assignment.where;
  }
  return absl::OkStatus();
}

Variables Environment() {
  Variables variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const size_t equals = text.find('=');
    if (equals != std::string::npos) variables[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return variables;
}

absl::StatusOr<Config> Load(const std::string& file, const std::vector<std::string>& sets,
                            const Variables& environment) {
  std::error_code error;
  const std::string here = std::filesystem::current_path(error).string();
  if (error) return absl::InternalError("the working directory is gone");
  Config config;
  Sourced sourced;
  if (!file.empty()) {
    ATTNRL_ASSIGN_OR_RETURN(sourced.file, ReadFile(file));
  }
  sourced.environment = FromEnvironment(environment, here, &config.ignored_variables);
  ATTNRL_ASSIGN_OR_RETURN(sourced.sets, FromSets(sets, here));
  Sources sources;
  ATTNRL_RETURN_IF_ERROR(ApplyAll(sourced, &config, &sources));
  ATTNRL_RETURN_IF_ERROR(ValidateFrom(config, sources));
  ATTNRL_RETURN_IF_ERROR(ApplyStages(sourced.file.stages, &config, sources));
  return config;
}

}  // namespace attnrl::config
