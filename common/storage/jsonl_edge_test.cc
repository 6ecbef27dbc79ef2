// SPDX-License-Identifier: Apache-2.0
// What stands at the edges of JSON Lines: line ends, bytes, numbers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "common/base/philox.h"
#include "common/storage/jsonl.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class JsonLinesEdge : public ::testing::Test {
 protected:
  // The line and dump of every record of `text`; then the error, its path written as "in".
  std::vector<std::string> Read(const std::string& text) {
    std::vector<std::string> out;
    const std::string path = folder_.Write("in", text);
    const absl::Status status =
        ReadJsonLines(path, false, nullptr, [&](const JsonLine& line) -> absl::Status {
          EXPECT_EQ(line.where, path + ":" + std::to_string(line.line));
          out.push_back(std::to_string(line.line) + line.value.dump());
          return absl::OkStatus();
        });
    const std::string message(status.message());
    if (!status.ok()) out.push_back(message.substr(message.rfind("/in:") + 1));
    return out;
  }

  const TemporaryFolder folder_{TemporaryFolder::On::kMemory};
};

TEST_F(JsonLinesEdge, EndLinesInEveryWay) {
  EXPECT_THAT(Read(""), IsEmpty());
  EXPECT_THAT(Read("\n\r\n \t\n"), IsEmpty());
  EXPECT_THAT(Read("{}\r\n{}\n{}"), ElementsAre("1{}", "2{}", "3{}"));
  EXPECT_THAT(Read(" {\"a\" : [ 1 , 2 ] } \t\n"), ElementsAre("1{\"a\":[1,2]}"));
  // What ends lines for others is text here.
  EXPECT_THAT(Read("{\"a\":\"\u2028\u0085\"}\n{}"),
              ElementsAre("1{\"a\":\"\u2028\u0085\"}", "2{}"));
}

TEST_F(JsonLinesEdge, NameTheByteOfWhatIsNoJson) {
  const std::string needed = "; one JSON object a line is needed";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"{} {}\n", "in:1: not JSON at byte 4"},
      {"{\"a\":1}x\n", "in:1: not JSON at byte 8"},
      {"\n{\"a\":\n1}\n", "in:2: not JSON at byte 6"},
      {"{\"a\":'b'}\n", "in:1: not JSON at byte 6"},
      {"{\"a\":1,}\n", "in:1: not JSON at byte 8"},
      {"{\"a\":NaN}\n", "in:1: not JSON at byte 6"},
      {"{\"a\":01}\n", "in:1: not JSON at byte 7"},
      {"// c\n", "in:1: not JSON at byte 1"},
      {"{\"a\":\"\xff\"}\n", "in:1: not JSON at byte 7"},
      {"{\"a\":\"\t\"}\n", "in:1: not JSON at byte 7"},
      {"{\"a\":\"\\ud800\"}\n", "in:1: not JSON at byte 13"},
      {std::string("{\"a\":\0}\n", 9), "in:1: not JSON at byte 6"},
      {"\xef\xbb\xbf{]\n", "in:1: not JSON at byte 5"}};
  for (const auto& [text, error] : cases) EXPECT_EQ(Read(text).back(), error + needed) << text;
  for (const auto& [text, type] :
       std::vector<std::pair<std::string, std::string>>{{"null", "null"},
                                                        {"7", "number"},
                                                        {"\"a\"", "string"},
                                                        {"true", "boolean"},
                                                        {"[{}]", "array"}}) {
    EXPECT_THAT(Read(text), ElementsAre("in:1: found " + type + needed));
  }
}

TEST_F(JsonLinesEdge, TakeWholeNumbersUpToTheirBounds) {
  const auto whole = [](const char* text) {
    return IntField({nlohmann::json::parse(text), 1, "in:1"}, "n");
  };
  EXPECT_EQ(*whole(R"({"n":9223372036854775807})"), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(*whole(R"({"n":-9223372036854775808})"), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(*whole(R"({"n":-0})"), 0);
  for (const char* found : {"9223372036854775808", "1.0", "1e3", "true", "null", "\"7\"", "[7]"}) {
    const absl::Status status = whole((R"({"n":)" + std::string(found) + "}").c_str()).status();
    EXPECT_THAT(std::string(status.message()),
                ::testing::MatchesRegex("in:1: field \"n\" is .*; a whole number is needed"))
        << found;
  }
}

TEST_F(JsonLinesEdge, GiveEveryDoubleBackToTheBit) {
  std::vector<double> values = {0.0, -0.0, 5e-324, 1e308, 0.1, 1.0 / 3, 1e23};
  RandomStream random({.seed = 3});
  while (values.size() < 500) {
    const uint64_t bits = random.Bits();
    double value = 0;
    std::memcpy(&value, &bits, sizeof(value));
    if (std::isfinite(value)) values.push_back(value);
  }
  JsonLinesWriter writer = *JsonLinesWriter::Open(folder_ / "out");
  ASSERT_TRUE(writer.Write({{"x", values}}).ok());
  ASSERT_TRUE(writer.Close().ok());
  const absl::Status status =
      ReadJsonLines(folder_ / "out", false, nullptr, [&](const JsonLine& line) {
        const std::vector<double> read = *NumberListField(line, "x");
        EXPECT_EQ(read.size(), values.size());
        EXPECT_EQ(std::memcmp(read.data(), values.data(), 8 * values.size()), 0);
        return absl::OkStatus();
      });
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(JsonLinesEdge, KeepTextsOnOneLineWhateverTheyHold) {
  std::string text;
  for (int byte = 0; byte < 0x80; ++byte) text += static_cast<char>(byte);
  text += "\u2028 é \U0001f600";
  JsonLinesWriter writer = *JsonLinesWriter::Open(folder_ / "out");
  ASSERT_TRUE(writer.Write({{"t", text}}).ok());
  ASSERT_TRUE(writer.Close().ok());
  const std::string written = folder_.Read("out");
  EXPECT_EQ(written.find('\n'), written.size() - 1);
  EXPECT_THAT(Read(written), ElementsAre("1" + nlohmann::json({{"t", text}}).dump()));
}

}  // namespace
}  // namespace attnrl::storage
