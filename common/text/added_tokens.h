// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace attnrl::text {

// Finds added tokens written in a text: the leftmost, of those the longest. Immutable, thread-safe.
class AddedTokenFinder {
 public:
  struct Match {
    size_t begin;
    size_t end;
    int32_t id;
  };

  void Add(std::string content, int32_t id);  // before the first Find; content not empty
  std::vector<Match> Find(std::string_view text) const;

 private:
  struct Entry {
    std::string content;
    int32_t id;
  };
  std::array<std::vector<Entry>, 256> by_first_byte_;  // longest first
};

}  // namespace attnrl::text
