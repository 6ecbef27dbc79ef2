// SPDX-License-Identifier: Apache-2.0
#include "common/config/key.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/base/nearest.h"
#include "common/base/status.h"

namespace attnrl::config {
namespace {

// Twice the longest name.
constexpr size_t kLongestCompared = 80;

std::string Leaf(const std::string& name) { return name.substr(name.rfind('.') + 1); }

std::vector<std::string> AllNames() {
  std::vector<std::string> names;
  for (const auto& key : Schema()) names.push_back(key->name());
  for (const auto& [section, comment] : Sections()) names.push_back(section);
  names.emplace_back("stages");  // a list, and so no section
  return names;
}

// What stands directly in a section; "" is the whole file.
std::vector<std::string> Members(const std::string& section) {
  std::vector<std::string> members;
  const std::string prefix = section.empty() ? "" : section + ".";
  for (const std::string& name : AllNames()) {
    if (name.rfind(prefix, 0) == 0 && name.find('.', prefix.size()) == std::string::npos) {
      members.push_back(name.substr(prefix.size()));
    }
  }
  return members;
}

}  // namespace

std::string Key::variable() const {
  return absl::StrCat("ATTNRL_", absl::AsciiStrToUpper(absl::StrReplaceAll(name_, {{".", "_"}})));
}

const Key* FindKey(const std::string& name) {
  for (const auto& key : Schema()) {
    if (key->name() == name) return key.get();
  }
  return nullptr;
}

bool IsSection(const std::string& name) {
  return std::any_of(Sections().begin(), Sections().end(),
                     [&](const auto& section) { return section.first == name; });
}

std::string Nearest(const std::string& unknown) {
  // Nobody mistypes so long a name, and EditDistance takes minutes for one of a megabyte.
  if (unknown.size() > kLongestCompared) return "";
  const size_t most = std::max<size_t>(2, unknown.size() / 4);
  std::string nearest;
  std::pair<size_t, size_t> least = {most + 1, 0};
  for (const std::string& name : AllNames()) {
    const size_t whole = EditDistance(unknown, name);
    // The right name in the wrong section counts as one mistake; of several sections that have it
    // the one that is spelt most alike is meant.
    const size_t misplaced =
        Leaf(unknown).size() > 4 ? EditDistance(Leaf(unknown), Leaf(name)) + 1 : most + 1;
    const std::pair<size_t, size_t> distance = {std::min(whole, misplaced), whole};
    if (distance >= least) continue;
    least = distance;
    nearest = name;
  }
  return nearest;
}

absl::Status UnknownKey(const std::string& where, const std::string& unknown) {
  const std::string nearest = Nearest(unknown);
  std::string section;
  for (size_t dot = unknown.find('.'); dot != std::string::npos; dot = unknown.find('.', dot + 1)) {
    if (!IsSection(unknown.substr(0, dot))) break;
    section = unknown.substr(0, dot);
  }
  const std::string known =
      absl::StrCat(section.empty() ? "there is " : absl::StrCat("in ", section, " there is "),
                   absl::StrJoin(Members(section), ", "));
  return InputError(
      where, absl::StrCat("unknown key \"", OneLine(unknown, 80), "\""),
      nearest.empty() ? known : absl::StrCat("did you mean \"", nearest, "\"? ", known));
}

std::string Quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += absl::StrFormat("\\x%02x", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::vector<std::string> ApplyPreset(AlgorithmName name, Config* config) {
  Algorithm& algorithm = config->algorithm;
  const bool attnrl = name == AlgorithmName::kAttnrl;
  const bool grpo = name == AlgorithmName::kGrpo;
  algorithm.name = name;
  algorithm.branching.criterion =
      grpo ? tree::Criterion::kNone : (attnrl ? tree::Criterion::kFci : tree::Criterion::kEntropy);
  algorithm.advantages = grpo ? Advantages::kGroup : Advantages::kTree;
  algorithm.sampling.adaptive_batch = attnrl;
  algorithm.sampling.filter_solved = attnrl;
  algorithm.sampling.difficulty_expansion = attnrl;
  algorithm.sampling.expand = attnrl ? tree::Expand::kDifficulty : tree::Expand::kAll;
  return {"algorithm.name",
          "algorithm.branching.criterion",
          "algorithm.advantages",
          "algorithm.sampling.adaptive_batch",
          "algorithm.sampling.filter_solved",
          "algorithm.sampling.difficulty_expansion",
          "algorithm.sampling.expand"};
}

}  // namespace attnrl::config
