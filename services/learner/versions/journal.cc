// SPDX-License-Identifier: Apache-2.0
#include "services/learner/versions/journal.h"

#include <exception>
#include <iterator>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/status.h"
#include "common/json/json.h"
#include "common/json/json_words.h"
#include "common/storage/digest.h"
#include "common/storage/files.h"

namespace attnrl::learner {
namespace {

constexpr size_t kMaxNumbers = 4096;

}  // namespace

absl::StatusOr<Journal> ReadJournal(const std::string& path) {
  ATTNRL_ASSIGN_OR_RETURN(const std::string text, storage::ReadFile(path));
  const auto damaged = [&path](absl::string_view why) {
    return absl::DataLossError(absl::StrCat(path, ": is damaged: ", why));
  };
  const auto file = ParseOrderedJson(text);
  if (!file.ok()) return damaged(file.status().message());
  Journal journal;
  try {
    const nlohmann::ordered_json& versions = file->at("versions");
    // A digest with another bit would condemn a version that is intact.
    if (file->at("sha256") != storage::Sha256Hex(PrintJson(versions))) {
      return damaged("the versions don't have their sha256");
    }
    for (const auto& entry : versions) {
      journal[entry.at("number").get<uint32_t>()] = entry.at("digest").get<std::string>();
    }
  } catch (const std::exception& error) {
    return damaged(JsonWords(error));
  }
  return journal;
}

absl::Status WriteJournal(const std::string& path, const Journal& journal) {
  nlohmann::ordered_json versions = nlohmann::ordered_json::array();
  auto entry = journal.begin();
  if (journal.size() > kMaxNumbers) std::advance(entry, journal.size() - kMaxNumbers);
  const auto add = [&versions](const Journal::value_type& version) {
    versions.push_back({{"number", version.first}, {"digest", version.second}});
  };
  // Of all older ones the first is asked for as long as the run lives: it began with it.
  if (entry != journal.begin() && journal.begin()->first == 0) add(*journal.begin());
  for (; entry != journal.end(); ++entry) add(*entry);
  const nlohmann::ordered_json file = {{"sha256", storage::Sha256Hex(PrintJson(versions))},
                                       {"versions", versions}};
  return storage::WriteFileAtomically(path, PrintJson(file));
}

}  // namespace attnrl::learner
