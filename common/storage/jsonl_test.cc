// SPDX-License-Identifier: Apache-2.0
#include "common/storage/jsonl.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

JsonLine Line(const char* text) { return {nlohmann::json::parse(text), 3, "in.jsonl:3"}; }

std::string Message(const absl::Status& status) { return std::string(status.message()); }

// The ids of the records of `text`.
std::vector<std::string> Read(const std::string& path, bool skip_bad, int64_t* skipped,
                              absl::Status* status) {
  std::vector<std::string> ids;
  *status = ReadJsonLines(path, skip_bad, skipped, [&](const JsonLine& line) -> absl::Status {
    ATTNRL_ASSIGN_OR_RETURN(std::string id, StringField(line, "id"));
    ids.push_back(line.where.substr(line.where.rfind(':') + 1) + id);
    return absl::OkStatus();
  });
  return ids;
}

TEST(ReadJsonLines, HandsOutRecordsWithTheirLines) {
  const TemporaryFolder directory;
  const std::string path =
      directory.Write("in", "\xef\xbb\xbf{\"id\":\"a\"}\r\n\n  \n{\"id\":\"b\",\"unknown\":[{}]}");
  absl::Status status;
  EXPECT_THAT(Read(path, false, nullptr, &status), ElementsAre("1a", "4b"));
  EXPECT_TRUE(status.ok());
}

TEST(ReadJsonLines, RefusesALineThatNestsTooDeeply) {
  const TemporaryFolder directory;
  const int deep = 200000;  // printing such a value would overflow the stack
  const std::string path = directory.Write(
      "in", "{\"id\":" + std::string(deep, '[') + std::string(deep, ']') + "}\n{\"id\":\"b\"}\n");
  absl::Status status;
  EXPECT_THAT(Read(path, false, nullptr, &status), ElementsAre());
  EXPECT_TRUE(IsInputError(status));
  EXPECT_EQ(Message(status),
            path + ":1: nests too deeply; at most 64 nested lists and objects are allowed");
  EXPECT_THAT(Read(path, true, nullptr, &status), ElementsAre("2b"));
}

TEST(ReadJsonLines, NamesTheLineAndThePlaceOfWhatIsNoJson) {
  const TemporaryFolder directory;
  const std::string path = directory.Write("in", "{\"id\":\"a\"}\n{\"id\": oops}\n");
  absl::Status status;
  EXPECT_THAT(Read(path, false, nullptr, &status), ElementsAre("1a"));
  EXPECT_TRUE(IsInputError(status));
  EXPECT_EQ(Message(status), path + ":2: not JSON at byte 8; one JSON object a line is needed");
}

TEST(ReadJsonLines, RefusesLinesThatAreNoObject) {
  const TemporaryFolder directory;
  absl::Status status;
  Read(directory.Write("in", "[1]\n"), false, nullptr, &status);
  EXPECT_THAT(Message(status), HasSubstr(":1: found array; "));
  Read(directory.Write("in", "{\"id\":1e999}\n"), false, nullptr, &status);
  EXPECT_TRUE(IsInputError(status)) << status;
}

TEST(ReadJsonLines, CountsAndLeavesOutBadRecordsOnDemand) {
  const TemporaryFolder directory;
  const std::string path =
      directory.Write("in", "{\"id\":\"a\"}\n{\n{\"id\":7}\n{}\n{\"id\":\"b\"}\n");
  absl::Status status;
  int64_t skipped = 0;
  EXPECT_THAT(Read(path, true, &skipped, &status), ElementsAre("1a", "5b"));
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(skipped, 3);
}

TEST(ReadJsonLines, NeverSkipsAFailureOfTheWorkItself) {
  const TemporaryFolder directory;
  int64_t skipped = 0;
  const absl::Status status =
      ReadJsonLines(directory.Write("in", "{}\n{}\n"), true, &skipped,
                    [](const JsonLine&) { return absl::InternalError("broken"); });
  EXPECT_EQ(Message(status), "broken");
  EXPECT_EQ(skipped, 0);
}

TEST(ReadJsonLines, RefusesFilesThatCannotBeRead) {
  const TemporaryFolder directory;
  absl::Status status;
  Read(directory / "nothing", false, nullptr, &status);
  EXPECT_TRUE(IsInputError(status));
  EXPECT_EQ(Message(status), directory / "nothing" +
                                 ": can't be read: No such file or directory; "
                                 "a JSON Lines file is needed");
  Read(directory.path(), false, nullptr, &status);
  EXPECT_THAT(Message(status), HasSubstr("is a directory"));
}

TEST(ReadJsonLines, ReadsStandardInputAndLongLines) {
  std::istringstream input("{\"id\":\"" + std::string(5 << 20, 'x') + "\"}\n");
  std::streambuf* before = std::cin.rdbuf(input.rdbuf());
  size_t length = 0;
  std::string where;
  const absl::Status status = ReadJsonLines("-", false, nullptr, [&](const JsonLine& line) {
    length = StringField(line, "id")->size();
    where = line.where;
    return absl::OkStatus();
  });
  std::cin.rdbuf(before);
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(length, size_t{5} << 20);
  EXPECT_EQ(where, "-:1");
}

TEST(Fields, GiveTheirValues) {
  const JsonLine line =
      Line(R"({"s":"x","n":1.5,"i":-7,"b":true,"l":[1,2],"t":["a"],"d":[1,0.5],"z":null})");
  EXPECT_EQ(*StringField(line, "s"), "x");
  EXPECT_EQ(*NumberField(line, "n"), 1.5);
  EXPECT_EQ(*NumberField(line, "i"), -7);
  EXPECT_EQ(*IntField(line, "i"), -7);
  EXPECT_TRUE(*BoolField(line, "b"));
  EXPECT_THAT(*IntListField(line, "l"), ElementsAre(1, 2));
  EXPECT_THAT(*StringListField(line, "t"), ElementsAre("a"));
  EXPECT_THAT(*NumberListField(line, "d"), ElementsAre(1, 0.5));
  EXPECT_EQ(*AnyField(line, "i"), nlohmann::json(-7));
  for (const char* number : {"123456789012345678901234567890", "1e3", "0.5"}) {
    JsonLine other = line;
    other.value["i"] = nlohmann::json::parse(number);
    EXPECT_TRUE(IsInputError(AnyField(other, "i").status())) << number;
  }
  EXPECT_TRUE(HasField(line, "s"));
  EXPECT_FALSE(HasField(line, "z"));
  EXPECT_EQ(*OptionalStringField(line, "z"), std::nullopt);
  EXPECT_EQ(*OptionalNumberField(line, "nothing"), std::nullopt);
  EXPECT_EQ(*OptionalIntField(line, "i"), -7);
}

TEST(Fields, NameWhatIsMissing) {
  EXPECT_EQ(Message(IntListField(Line("{}"), "prompt_ids").status()),
            "in.jsonl:3: field \"prompt_ids\" is missing; a list of whole numbers is needed");
  EXPECT_EQ(Message(StringField(Line("{}"), "id").status()),
            "in.jsonl:3: field \"id\" is missing; text is needed");
}

TEST(Fields, ShowWhatHasAnotherType) {
  EXPECT_EQ(Message(StringField(Line("{\"id\":7}"), "id").status()),
            "in.jsonl:3: field \"id\" is 7; text is needed");
  EXPECT_EQ(Message(IntField(Line("{\"n\":1.5}"), "n").status()),
            "in.jsonl:3: field \"n\" is 1.5; a whole number is needed");
  EXPECT_FALSE(OptionalStringField(Line("{\"s\":[]}"), "s").ok());
  EXPECT_FALSE(StringListField(Line("{\"s\":[1]}"), "s").ok());
  EXPECT_FALSE(NumberListField(Line("{\"s\":[\"a\"]}"), "s").ok());
  EXPECT_FALSE(BoolField(Line("{\"b\":1}"), "b").ok());
}

TEST(Fields, RefuseNumbersThatDoNotFit) {
  EXPECT_TRUE(IntListField(Line("{\"ids\":[2147483647,-2147483648]}"), "ids").ok());
  EXPECT_EQ(Message(IntListField(Line("{\"ids\":[1,2147483648]}"), "ids").status()),
            "in.jsonl:3: field \"ids\" holds 2147483648; a list of whole numbers is needed");
  EXPECT_FALSE(IntField(Line("{\"n\":18446744073709551615}"), "n").ok());
}

TEST(JsonLinesWriter, WritesWhatTheReaderReads) {
  const TemporaryFolder directory;
  JsonLinesWriter writer = *JsonLinesWriter::Open(directory / "out");
  ASSERT_TRUE(writer.Write({{"id", "a"}, {"x", 0.1}, {"a", {1, 2}}}).ok());
  ASSERT_TRUE(writer.Write({{"id", "not utf-8: \xff"}}).ok());
  ASSERT_TRUE(writer.Close().ok());
  EXPECT_EQ(directory.Read("out"),
            "{\"id\":\"a\",\"x\":0.1,\"a\":[1,2]}\n{\"id\":\"not utf-8: \xef\xbf\xbd\"}\n");
}

TEST(JsonLinesWriter, AFileAppearsWholeAtCloseOrNotAtAll) {
  const TemporaryFolder directory;
  directory.Write("out", "before");
  {
    JsonLinesWriter writer = *JsonLinesWriter::Open(directory / "out");
    ASSERT_TRUE(writer.Write({{"a", 1}}).ok());
    EXPECT_EQ(directory.Read("out"), "before");
  }  // the command failed
  EXPECT_EQ(directory.Read("out"), "before");
  EXPECT_EQ(directory.Count(), 1u);
  std::filesystem::create_symlink(directory / "out", directory / "link");
  JsonLinesWriter writer = *JsonLinesWriter::Open(directory / "link");
  ASSERT_TRUE(writer.Write({{"a", 1}}).ok());
  ASSERT_TRUE(writer.Close().ok());
  EXPECT_EQ(directory.Read("out"), "{\"a\":1}\n");
  EXPECT_TRUE(std::filesystem::is_symlink(directory / "link"));
  EXPECT_EQ(directory.Count(), 2u);
}

TEST(JsonLinesWriter, WritesToStandardOutput) {
  std::ostringstream output;
  std::streambuf* before = std::cout.rdbuf(output.rdbuf());
  absl::StatusOr<JsonLinesWriter> writer = JsonLinesWriter::Open("-");
  const bool written = writer.ok() && writer->Write({{"a", 1}}).ok() && writer->Close().ok();
  std::cout.rdbuf(before);
  EXPECT_TRUE(written);
  EXPECT_EQ(output.str(), "{\"a\":1}\n");
}

TEST(JsonLinesWriter, SharesThePlaceInAFileWithTheDescriptorThatItIsNamedBy) {
  const TemporaryFolder folder;
  const int fd = ::open((folder / "log").c_str(), O_CREAT | O_WRONLY, 0644);
  ASSERT_EQ(::write(fd, "before\n", 7), 7);
  auto writer = JsonLinesWriter::Open("/dev/fd/" + std::to_string(fd));
  ASSERT_TRUE(writer.ok()) << writer.status();
  ASSERT_TRUE(writer->Write({{"a", 1}}).ok());
  ASSERT_TRUE(writer->Close().ok());
  ASSERT_EQ(::write(fd, "after\n", 6), 6);
  ::close(fd);
  EXPECT_EQ(folder.Read("log"), "before\n{\"a\":1}\nafter\n");
}

TEST(JsonLinesWriter, RefusesAPathThatCannotBeMade) {
  const absl::Status status = JsonLinesWriter::Open("/nowhere/at/all").status();
  EXPECT_TRUE(IsInputError(status));
  EXPECT_THAT(Message(status), HasSubstr("/nowhere/at/all: can't be written"));
  EXPECT_TRUE(IsInputError(JsonLinesWriter::Open("").status())) << "before the work";
}

TEST(JsonLinesWriter, TellsAFullDisk) {
  JsonLinesWriter writer = *JsonLinesWriter::Open("/dev/full");
  static_cast<void>(writer.Write({{"a", 1}}));
  const absl::Status status = writer.Close();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(Message(status), HasSubstr("/dev/full"));
}

}  // namespace
}  // namespace attnrl::storage
