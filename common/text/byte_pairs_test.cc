// SPDX-License-Identifier: Apache-2.0
#include "common/text/byte_pairs.h"

#include <gmock/gmock.h>

#include <map>
#include <string>
#include <vector>

#include "common/base/philox.h"
#include "common/text/byte_alphabet.h"

namespace attnrl::text {
namespace {

// The slow and obvious way: look through the whole word for the best pair, merge it, start again.
std::vector<std::string> MergeSlowly(
    std::string_view word, const std::map<std::pair<std::string, std::string>, int>& ranks) {
  std::vector<std::string> parts;
  for (const char c : word) parts.emplace_back(1, c);
  for (;;) {
    size_t best = parts.size();
    int best_rank = 0;
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto found = ranks.find({parts[i], parts[i + 1]});
      if (found == ranks.end() || (best < parts.size() && found->second >= best_rank)) continue;
      best = i;
      best_rank = found->second;
    }
    if (best == parts.size()) return parts;
    parts[best] += parts[best + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

TokenizerFile Bytes() {
  TokenizerFile file;
  file.path = "f";
  file.rest = {{"model", nlohmann::json::object()}};
  for (int byte = 0; byte < 256; ++byte) {
    file.vocabulary.emplace_back(ByteCharacter(static_cast<uint8_t>(byte)), byte);
  }
  return file;
}

TEST(BytePairs, EqualTheSlowWayOnRandomMergesAndWords) {
  RandomStream random({.seed = 1});
  for (int round = 0; round < 20; ++round) {
    TokenizerFile file = Bytes();
    std::vector<std::string> tokens = {"a", "b", "c"};
    std::map<std::pair<std::string, std::string>, int> ranks;
    for (int rank = 0; rank < 30; ++rank) {
      const std::string left = tokens[random.Below(tokens.size())];
      const std::string right = tokens[random.Below(tokens.size())];
      const std::string merged = left + right;
      // Several merges may give the same token; a pair is listed once.
      if (merged.size() > 12 || !ranks.emplace(std::pair(left, right), file.merges.size()).second) {
        continue;
      }
      file.merges.emplace_back(left, right);
      if (std::find(tokens.begin(), tokens.end(), merged) == tokens.end()) {
        file.vocabulary.emplace_back(merged, static_cast<int32_t>(file.vocabulary.size()));
        tokens.push_back(merged);
      }
    }
    const auto pairs = BytePairs::Make(file);
    ASSERT_TRUE(pairs.ok()) << pairs.status();
    for (int word_number = 0; word_number < 20; ++word_number) {
      std::string word;
      for (uint64_t left = random.Below(60); left > 0; --left) word += "abc"[random.Below(3)];
      std::vector<int32_t> ids;
      pairs->Encode(word, &ids);
      std::vector<std::string> parts;
      for (const int32_t id : ids) parts.push_back(file.vocabulary[static_cast<size_t>(id)].first);
      EXPECT_EQ(parts, MergeSlowly(word, ranks)) << word;
    }
  }
}

TEST(BytePairs, KeepsTheLastRankOfAPairThatIsListedTwice) {
  TokenizerFile file = Bytes();
  file.vocabulary.emplace_back("ab", 256);
  file.vocabulary.emplace_back("bc", 257);
  file.merges = {{"a", "b"}, {"b", "c"}, {"a", "b"}};
  std::vector<int32_t> ids;
  BytePairs::Make(file)->Encode("abc", &ids);
  EXPECT_THAT(ids, testing::ElementsAre('a', 257));
}

TEST(BytePairs, AppendsToWhatIsThere) {
  const auto pairs = BytePairs::Make(Bytes());
  std::vector<int32_t> ids = {7};
  pairs->Encode(std::string("\0\xFF", 2), &ids);
  pairs->Encode("", &ids);
  EXPECT_THAT(ids, testing::ElementsAre(7, 0, 255));
}

}  // namespace
}  // namespace attnrl::text
