// SPDX-License-Identifier: Apache-2.0
#include "common/text/added_tokens.h"

#include <algorithm>
#include <utility>

namespace attnrl::text {

void AddedTokenFinder::Add(std::string content, int32_t id) {
  std::vector<Entry>& entries = by_first_byte_[static_cast<uint8_t>(content[0])];
  const auto place = std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) {
    return entry.content.size() < content.size();
  });
  entries.insert(place, {std::move(content), id});
}

std::vector<AddedTokenFinder::Match> AddedTokenFinder::Find(std::string_view text) const {
  std::vector<Match> matches;
  for (size_t at = 0; at < text.size();) {
    Match match{at, at + 1, -1};
    for (const Entry& entry : by_first_byte_[static_cast<uint8_t>(text[at])]) {
      if (text.substr(at, entry.content.size()) == entry.content) {
        match = {at, at + entry.content.size(), entry.id};
        break;
      }
    }
    if (match.id >= 0) matches.push_back(match);
    at = match.end;
  }
  return matches;
}

}  // namespace attnrl::text
