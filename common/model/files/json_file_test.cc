// SPDX-License-Identifier: Apache-2.0
#include "common/model/files/json_file.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::model {
namespace {

using nlohmann::json;
using testing::HasSubstr;

template <typename T>
std::string RefusalOf(const absl::StatusOr<T>& result) {
  EXPECT_TRUE(IsInputError(result.status())) << result.status();
  return std::string(result.status().message());
}

JsonFile Holding(const json& value) { return JsonFile("a.json", json{{"key", value}}); }

TEST(JsonFile, ReadsAnObjectWhereNullIsAsGoodAsMissing) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("a.json", R"({"one": 1, "none": null})");
  const auto file = JsonFile::Read(path);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->path(), path);
  ASSERT_NE(file->Find("one"), nullptr);
  EXPECT_EQ(*file->Find("one"), 1);
  EXPECT_EQ(file->Find("none"), nullptr);
  EXPECT_EQ(file->Find("two"), nullptr);
}

TEST(JsonFile, RefusesWhatIsNoObject) {
  const TemporaryFolder folder;
  const std::string missing = folder / "b.json";
  EXPECT_EQ(RefusalOf(JsonFile::Read(missing)),
            missing + ": no such file; a Hugging Face model folder is needed");
  std::filesystem::create_directory(folder / "c.json");
  EXPECT_THAT(RefusalOf(JsonFile::Read(folder / "c.json")), HasSubstr("c.json: can't be read: "));
  struct Case {
    std::string text;
    std::string complaint;
  };
  for (const auto& [text, complaint] : std::vector<Case>{{"", "is not JSON"},
                                                         {"{\"a\": 1", "is not JSON"},
                                                         {"{\"a\": 1} 2", "is not JSON"},
                                                         {"{\"a\": NaN}", "is not JSON"},
                                                         {"{\"a\": \"\xff\"}", "is not JSON"},
                                                         {"[1]", "is not an object"},
                                                         {"null", "is not an object"},
                                                         {std::string(100'000, '['), "nested"}}) {
    const std::string path = folder.Write("a.json", text);
    const std::string refusal = RefusalOf(JsonFile::Read(path));
    EXPECT_THAT(refusal, testing::StartsWith(path + ": "));
    EXPECT_THAT(refusal, HasSubstr(complaint)) << text.substr(0, 20);
  }
}

TEST(JsonFile, NamesAGitLfsPointer) {
  const TemporaryFolder folder;
  folder.Write("config.json", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n");
  EXPECT_THAT(std::string(JsonFile::Read(folder / "config.json").status().message()),
              HasSubstr("is a Git LFS pointer, not the file itself; `git lfs pull`"));
}

TEST(JsonFile, TakesWholeNumbersFromOneToALimitForSizes) {
  for (const int64_t size : {1, 7, 100}) EXPECT_EQ(*Holding(size).Size("key", 100), size);
  EXPECT_EQ(*Holding(nullptr).Size("key", 100, 30), 30);
  EXPECT_EQ(RefusalOf(Holding(nullptr).Size("key", 100)),
            "a.json: key is missing; a whole number from 1 to 100 is needed");
  for (const json& value :
       {json(0), json(-1), json(101), json(2.0), json("7"), json(true), json::array({7}),
        json(INT64_MIN), json(UINT64_MAX), json(uint64_t{1} << 63), json(1e300)}) {
    EXPECT_EQ(RefusalOf(Holding(value).Size("key", 100, 30)),
              "a.json: key is " + value.dump() + "; a whole number from 1 to 100 is needed");
  }
}

TEST(JsonFile, TakesNumbersAboveZeroForQuantities) {
  EXPECT_EQ(*Holding(0.25).PositiveNumber("key", 2), 0.25);
  EXPECT_EQ(*Holding(3).PositiveNumber("key", 2), 3);
  EXPECT_EQ(*Holding(nullptr).PositiveNumber("key", 2), 2);
  for (const json& value :
       {json(0), json(-0.0), json(-1e-9), json("1"), json(true), json::object()}) {
    EXPECT_EQ(RefusalOf(Holding(value).PositiveNumber("key", 2)),
              "a.json: key is " + value.dump() + "; a number above 0 is needed");
  }
}

TEST(JsonFile, TakesNothingElseForTrueOrFalse) {
  EXPECT_TRUE(*Holding(true).Bool("key", false));
  EXPECT_FALSE(*Holding(false).Bool("key", true));
  EXPECT_TRUE(*Holding(nullptr).Bool("key", true));
  for (const json& value : {json(0), json(1), json("true"), json::array({true})}) {
    EXPECT_EQ(RefusalOf(Holding(value).Bool("key", false)),
              "a.json: key is " + value.dump() + "; true or false is needed");
  }
}

TEST(JsonFile, NamesNestedKeysByTheirPrefixAndLongValuesByTheirBeginning) {
  const JsonFile nested("a.json", json{{"theta", std::string(500, 'x') + "\n"}}, "rope.");
  const std::string refusal = RefusalOf(nested.PositiveNumber("theta", 1));
  EXPECT_THAT(refusal, testing::StartsWith("a.json: rope.theta is \"xxx"));
  EXPECT_THAT(refusal, testing::EndsWith("; a number above 0 is needed"));
  EXPECT_LT(refusal.size(), 150U);
}

}  // namespace
}  // namespace attnrl::model
