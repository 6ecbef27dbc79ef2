// SPDX-License-Identifier: Apache-2.0
#include "common/base/nearest.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "common/base/philox.h"

namespace attnrl {
namespace {

// The definition: what the last bytes became, and the least of the rest.
size_t ByDefinition(std::string_view a, std::string_view b) {
  if (a.empty() || b.empty()) return a.size() + b.size();
  const std::string_view short_a = a.substr(0, a.size() - 1);
  const std::string_view short_b = b.substr(0, b.size() - 1);
  size_t least = std::min({ByDefinition(short_a, b) + 1, ByDefinition(a, short_b) + 1,
                           ByDefinition(short_a, short_b) + (a.back() == b.back() ? 0 : 1)});
  if (a.size() > 1 && b.size() > 1 && a.back() == short_b.back() && short_a.back() == b.back()) {
    least = std::min(least, ByDefinition(a.substr(0, a.size() - 2), b.substr(0, b.size() - 2)) + 1);
  }
  return least;
}

TEST(EditDistance, CountsInsertionsLossesChangesAndSwaps) {
  EXPECT_EQ(EditDistance("", ""), 0u);
  EXPECT_EQ(EditDistance("", "abc"), 3u);
  EXPECT_EQ(EditDistance("train", "rain"), 1u);
  EXPECT_EQ(EditDistance("train", "brain"), 1u);
  EXPECT_EQ(EditDistance("train", "tarin"), 1u);
  EXPECT_EQ(EditDistance("abcd", "badc"), 2u);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3u);
  // Optimal string alignment: what was swapped is not edited again.
  EXPECT_EQ(EditDistance("ca", "abc"), 3u);
}

TEST(EditDistance, EqualsItsDefinitionOnRandomWords) {
  for (uint64_t seed = 0; seed < 400; ++seed) {
    RandomStream random({.seed = seed});
    std::string words[2];
    for (std::string& word : words) {
      for (uint64_t i = random.Below(6); i > 0; --i) word += "abc"[random.Below(3)];
    }
    const size_t distance = EditDistance(words[0], words[1]);
    EXPECT_EQ(distance, ByDefinition(words[0], words[1])) << words[0] << " " << words[1];
    EXPECT_EQ(distance, EditDistance(words[1], words[0]));
  }
}

TEST(Nearest, FindsASlipOfTheFingerAndNothingFarther) {
  EXPECT_EQ(Nearest("tarin", {"train", "drain", "show"}), "train");
  EXPECT_EQ(Nearest("elephant", {"train", "drain", "show"}), "");
  EXPECT_EQ(Nearest("x", {}), "");
}

TEST(Nearest, AllowsOneLetterOfAShortWordTwoOrAThirdOfALongerOne) {
  EXPECT_EQ(Nearest("abx", {"abc"}), "abc");
  EXPECT_EQ(Nearest("axx", {"abc"}), "");
  EXPECT_EQ(Nearest("abxx", {"abcd"}), "abcd");
  EXPECT_EQ(Nearest("axxx", {"abcd"}), "");
  EXPECT_EQ(Nearest("abcdefxxx", {"abcdefghi"}), "abcdefghi");
  EXPECT_EQ(Nearest("abcdexxxx", {"abcdefghi"}), "");
}

TEST(Nearest, TakesTheNearestAndOfEquallyNearTheFirst) {
  EXPECT_EQ(Nearest("--steps", {"--stop", "--step", "--steps"}), "--steps");
  EXPECT_EQ(Nearest("rain", {"train", "brain"}), "train");
  EXPECT_EQ(Nearest("rain", {"brain", "train"}), "brain");
}

}  // namespace
}  // namespace attnrl
