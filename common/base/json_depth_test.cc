// SPDX-License-Identifier: Apache-2.0
#include "common/base/json_depth.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace attnrl {
namespace {

bool NestsTooDeeply(std::string_view json) { return !CheckJsonDepth("it", json).ok(); }

std::string Nested(size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(CheckJsonDepth, CountsOpenListsAndObjects) {
  EXPECT_FALSE(NestsTooDeeply(""));
  EXPECT_FALSE(NestsTooDeeply(Nested(kMaxJsonDepth)));
  EXPECT_TRUE(NestsTooDeeply(Nested(kMaxJsonDepth + 1)));
  std::string objects;
  for (size_t i = 0; i <= kMaxJsonDepth; ++i) objects += R"({"a":)";
  EXPECT_TRUE(NestsTooDeeply(objects));
}

TEST(CheckJsonDepth, SaysWhereAndWhatIsAllowed) {
  EXPECT_EQ(CheckJsonDepth("in.jsonl:3", Nested(1000)).message(),
            "in.jsonl:3: nests too deeply; at most 64 nested lists and objects are allowed");
}

TEST(CheckJsonDepth, ManyListsBesideEachOtherAreFlat) {
  std::string wide = "[";
  for (int i = 0; i < 1000; ++i) wide += "[[]],";
  EXPECT_FALSE(NestsTooDeeply(wide + "1]"));
}

TEST(CheckJsonDepth, BracketsInTextsDoNotCount) {
  const std::string many(1000, '[');
  EXPECT_FALSE(NestsTooDeeply("\"" + many + "\""));
  EXPECT_FALSE(NestsTooDeeply(R"("an escaped \" quote )" + many + "\""));
  EXPECT_TRUE(NestsTooDeeply(R"("ends with a backslash \\",)" + many));
}

TEST(CheckJsonDepth, TakesTextsThatAreNotJson) {
  EXPECT_FALSE(NestsTooDeeply("]]]]\"\\"));
  EXPECT_FALSE(NestsTooDeeply("\\\\\""));
}

}  // namespace
}  // namespace attnrl
