// SPDX-License-Identifier: Apache-2.0
#include "common/observe/notice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "absl/strings/str_split.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::observe {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Notice, IsReadBackFromTheLogAndNothingElseIs) {
  const TemporaryFolder folder;
  ASSERT_TRUE(StartLog({.service = "learner", .file = folder / "log"}).ok());
  LogWarning("a warning", {{"notice", true}});
  Notify("steps were skipped", {{"of_the_run", 3}, {"file", "/runs/a"}});
  Notify("without details");
  StopLog();
  const std::string log = folder.Read("log");
  const std::vector<std::string> lines = absl::StrSplit(log, '\n', absl::SkipEmpty());
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_FALSE(ParseNotice(lines[0]).has_value()) << "a field of that name is none";
  EXPECT_THAT(lines[1], HasSubstr(R"("level":"warning")"));
  const auto skipped = ParseNotice(lines[1]);
  ASSERT_TRUE(skipped.has_value());
  EXPECT_EQ(skipped->message, "steps were skipped");
  EXPECT_EQ(skipped->details, "of the run 3, file /runs/a");
  ASSERT_TRUE(ParseNotice(lines[2]).has_value());
  EXPECT_THAT(ParseNotice(lines[2])->details, IsEmpty());
}

TEST(Notice, IsInTheLogWhateverItsLevel) {
  const TemporaryFolder folder;
  ASSERT_TRUE(
      StartLog({.service = "learner", .file = folder / "log", .level = Level::kError}).ok());
  LogWarning("a warning");
  Notify("steps were skipped");
  StopLog();
  const std::string log = folder.Read("log");
  EXPECT_THAT(std::vector<std::string>(absl::StrSplit(log, '\n', absl::SkipEmpty())),
              ::testing::ElementsAre(HasSubstr("steps were skipped")));
}

TEST(Notice, IsNoLineOfAnotherForm) {
  for (const char* line : {"", "[1]", "{\"notice\":1,\"message\":\"a\"}", "{\"notice\":true",
                           "{\"notice\":true,\"message\":1}"}) {
    EXPECT_FALSE(ParseNotice(line).has_value()) << line;
  }
}

}  // namespace
}  // namespace attnrl::observe
