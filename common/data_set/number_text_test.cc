// SPDX-License-Identifier: Apache-2.0
#include "common/data_set/number_text.h"

#include <gtest/gtest.h>

#include <string>

#include "common/data_set/testing/record.h"

namespace attnrl::data_set {
namespace {

std::string At(const std::string& text, const std::vector<std::string>& path) {
  return NumberAsWritten(Record(text), path);
}

TEST(NumberAsWritten, KeepsTheDigitsThatADoubleWouldLose) {
  EXPECT_EQ(At(R"({"a":0.50})", {"a"}), "0.50");
  EXPECT_EQ(At(R"({"a":1e3})", {"a"}), "1e3");
  EXPECT_EQ(At(R"({"a":-0.0})", {"a"}), "-0.0");
  EXPECT_EQ(At(R"({"a":12345678901234567890123})", {"a"}), "12345678901234567890123");
  EXPECT_EQ(At(R"({"a":0.1000000000000000055511151231257827})", {"a"}),
            "0.1000000000000000055511151231257827");
}

TEST(NumberAsWritten, FollowsKeysAndPlacesInLists) {
  const std::string text =
      R"({"x":[9.0,[8.0,{"y":7.0}]],"a":{"b":[{},1.50,"t",[2.50],null,true,3.50]},"b":4.50})";
  EXPECT_EQ(At(text, {"a", "b", "1"}), "1.50");
  EXPECT_EQ(At(text, {"a", "b", "3", "0"}), "2.50");
  EXPECT_EQ(At(text, {"a", "b", "6"}), "3.50");
  EXPECT_EQ(At(text, {"b"}), "4.50");
  EXPECT_EQ(At(text, {"x", "1", "1", "y"}), "7.0");
}

TEST(NumberAsWritten, OfEqualKeysIsThatOfTheLast) {
  EXPECT_EQ(At(R"({"a":1.50,"a":2.50})", {"a"}), "2.50");
}

TEST(NumberAsWritten, IsTheValueWhereTheTextIsGone) {
  EXPECT_EQ(NumberAsWritten({nlohmann::json::parse(R"({"a":[0.50]})"), 1, "in:1"}, {"a", "0"}),
            "0.5");
}

}  // namespace
}  // namespace attnrl::data_set
