// SPDX-License-Identifier: Apache-2.0
#include "common/storage/record_texts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/storage/jsonl.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StartsWith;

// "<place behind in>|<text>" of each record, then the error.
std::vector<std::string> Cut(const std::string& text, bool lists = true,
                             int64_t max_bytes = kMaxRecordBytes) {
  std::istringstream stream(text);
  RecordTexts texts(stream, "in", lists, max_bytes);
  std::vector<std::string> out;
  RecordText record;
  absl::StatusOr<bool> found = texts.Next(&record);
  for (; found.ok() && *found; found = texts.Next(&record)) {
    out.push_back(absl::StrCat(record.where.substr(3), "|", std::string(record.text)));
  }
  if (!found.ok()) out.emplace_back(found.status().message());
  EXPECT_FALSE(texts.Next(&record).value_or(true)) << "read on behind the end";
  return out;
}

TEST(RecordTexts, AreLinesOrTheElementsOfAList) {
  EXPECT_THAT(Cut("{\"a\":1}\n\n{}\n"), ElementsAre("1|{\"a\":1}", "3|{}"));
  EXPECT_THAT(Cut("[{\"a\":1}, {} ]"), ElementsAre("1 (record 1)|{\"a\":1}", "1 (record 2)|{}"));
  EXPECT_THAT(Cut("\n[\n  {\n    \"a\": 1\n  },\r\n  {}\n]\n"),
              ElementsAre("3 (record 1)|{\n    \"a\": 1\n  }", "6 (record 2)|{}"));
  EXPECT_THAT(Cut("\xef\xbb\xbf[{}]"), ElementsAre("1 (record 1)|{}"));
  EXPECT_THAT(Cut("[]"), IsEmpty());
  EXPECT_THAT(Cut("[\n]\n"), IsEmpty());
  EXPECT_THAT(Cut(""), IsEmpty());
}

TEST(RecordTexts, OfAListEndAtCommasAndBracketsOutsideOfTextsAndValues) {
  EXPECT_THAT(
      Cut(R"([{"a":"},]\"[{"},{"b":[1,[2]],"c":{}}])"),
      ElementsAre(R"(1 (record 1)|{"a":"},]\"[{"})", R"(1 (record 2)|{"b":[1,[2]],"c":{}})"));
  EXPECT_THAT(Cut("[{}, 7, \"a\"]"),
              ElementsAre("1 (record 1)|{}", "1 (record 2)|7", "1 (record 3)|\"a\""));
  EXPECT_THAT(Cut("[{},]"), ElementsAre("1 (record 1)|{}", "1 (record 2)|"));
}

TEST(RecordTexts, ALineThatIsAListOfSomethingElseIsALine) {
  EXPECT_THAT(Cut("[1,2]\n{}\n"), ElementsAre("1|[1,2]", "2|{}"));
  EXPECT_THAT(Cut("[[{}]]"), ElementsAre("1|[[{}]]"));
  EXPECT_THAT(Cut("{}\n[{}]\n"), ElementsAre("1|{}", "2|[{}]")) << "a list is the whole file";
  EXPECT_THAT(Cut("[{}]\n{}\n", /*lists=*/false), ElementsAre("1|[{}]", "2|{}"));
}

TEST(RecordTexts, OfAListThatIsNotClosedOrHasSomethingBehindItAreRefused) {
  const std::string not_closed =
      "the file ends within the list; a list of JSON objects ends with ]";
  EXPECT_THAT(Cut("[{}"), ElementsAre("in:1 (record 1): " + not_closed));
  EXPECT_THAT(Cut("["), ElementsAre("in:2 (record 1): " + not_closed));
  EXPECT_THAT(Cut("[{},\n{\"a\":\"}]"),
              ElementsAre("1 (record 1)|{}", "in:2 (record 2): " + not_closed));
  EXPECT_THAT(
      Cut("[{}]\n{}\n"),
      ElementsAre("1 (record 1)|{}", StartsWith("in:2: something stands behind the list;")));
}

TEST(RecordTexts, OfAnyLengthUpToTheBoundAreWhole) {
  for (const size_t length : {size_t{1}, size_t{65534}, size_t{65535}, size_t{65536}, size_t{65537},
                              size_t{131070}, size_t{200000}}) {
    const std::string line(length, 'x');
    const auto bound = static_cast<int64_t>(length);
    const std::vector<std::string> whole = {"1|" + line, "2|y"};
    EXPECT_EQ(Cut(line + "\ny\n", true, bound), whole) << length;
    EXPECT_EQ(Cut(line + "\ny", true, bound), whole) << length;
    EXPECT_EQ(Cut("y\n" + line, true, bound).back(), "2|" + line) << length;
  }
}

TEST(RecordTexts, ThatAreTooLongAreRefusedWithTheirLine) {
  EXPECT_THAT(Cut("{}\n{\"a\":1}\n{}\n", true, 6),
              ElementsAre("1|{}", "in:2: the line is too long; at most 6 bytes are read"));
  EXPECT_THAT(Cut(std::string(200000, ' '), true, 100000),
              ElementsAre(StartsWith("in:1: the line is too long; ")));
  EXPECT_THAT(Cut("\n[{},\n{}]", true, 5),
              ElementsAre("in:2: the list is too long; at most 5 bytes are read; a file with one "
                          "JSON object a line may be longer"));
}

// The ids of a file's records, then the error, its path written as "in".
std::vector<std::string> Ids(const std::string& text, bool skip_bad, int64_t* skipped = nullptr) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("in", text);
  std::vector<std::string> out;
  const absl::Status status =
      ReadRecords(path, skip_bad, skipped, [&](const JsonLine& line) -> absl::Status {
        out.push_back(absl::StrCat(line.line, " ", line.value.value("id", "")));
        EXPECT_EQ(nlohmann::json::parse(line.text), line.value);
        return absl::OkStatus();
      });
  if (!status.ok()) {
    out.push_back(absl::StrReplaceAll(std::string(status.message()), {{path, "in"}}));
  }
  return out;
}

TEST(ReadRecords, ReadsLinesAndListsAlike) {
  const std::vector<std::string> both = {"1 a", "2 b"};
  EXPECT_EQ(Ids("{\"id\":\"a\"}\n{\"id\":\"b\"}\n", false), both);
  EXPECT_EQ(Ids("[{\"id\":\"a\"},\n{\"id\":\"b\"}]\n", false), both);
}

TEST(ReadRecords, NameTheLineOfAListWhereItIsNoJson) {
  EXPECT_THAT(Ids("[\n {\"id\":\"a\"},\n {\n  \"id\": oops\n }\n]", false),
              ElementsAre("2 a",
                          "in:4 (record 2): not JSON at byte 9; a list of JSON objects is "
                          "needed"));
  EXPECT_THAT(Ids("[{}, 7]", false),
              ElementsAre("1 ", "in:1 (record 2): found number; a list of JSON objects is needed"));
}

TEST(ReadRecords, LeavesOutBadRecordsOfAListOnDemandButNotItsEnd) {
  int64_t skipped = 0;
  EXPECT_THAT(Ids("[{\"id\":\"a\"}, 7, {x}, {\"id\":\"b\"}]", true, &skipped),
              ElementsAre("1 a", "1 b"));
  EXPECT_EQ(skipped, 2);
  EXPECT_THAT(Ids("[{\"id\":\"a\"}", true), ElementsAre(StartsWith("in:1 (record 1): the file")));
}

}  // namespace
}  // namespace attnrl::storage
