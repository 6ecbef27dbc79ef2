// SPDX-License-Identifier: Apache-2.0
// The bytes of a log: which records there are, and what a line looks like whatever was logged.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/observe/log.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::observe {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

class LogFormat : public ::testing::Test {
 protected:
  ~LogFormat() override { StopLog(); }

  void Start(Level level = Level::kDebug, Level console = Level::kError) {
    ASSERT_TRUE(
        StartLog(
            {.service = "worker-0", .file = folder_ / "log", .level = level, .console = console})
            .ok());
  }
  // What `log` adds to the file, less the time.
  std::string Line(const std::function<void()>& log) {
    const size_t before = folder_.Read("log").size();
    log();
    const std::string line = folder_.Read("log").substr(before);
    const std::string time = R"({"time":"2026-11-24T10:15:00.123456Z",)";
    EXPECT_THAT(line.substr(0, time.size()),
                MatchesRegex(R"(\{"time":"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.)"
                             R"([0-9]{6}Z",)"));
    return line.size() < time.size() ? line : line.substr(time.size());
  }
  // The text of a field as it is in the file.
  std::string Logged(const std::string& text) {
    const std::string line = Line([&] { LogInfo("m", {{"t", text}}); });
    EXPECT_EQ(line.find('\n'), line.size() - 1);
    return nlohmann::json::parse("{" + line)["fields"]["t"];
  }
  static std::string OnConsole(const std::function<void()>& log) {
    ::testing::internal::CaptureStderr();
    log();
    return ::testing::internal::GetCapturedStderr();
  }

  const TemporaryFolder folder_{TemporaryFolder::On::kMemory};
};

constexpr Level kLevels[] = {Level::kDebug, Level::kInfo, Level::kWarning, Level::kError};
constexpr const char* kNames[] = {"debug", "info", "warning", "error"};

void LogAt(Level level) {
  constexpr void (*kLog[])(std::string_view, Fields) = {LogDebug, LogInfo, LogWarning, LogError};
  kLog[static_cast<size_t>(level)]("said", {});
}

TEST_F(LogFormat, HasWhatIsAtLeastOfItsLevelInTheFileAndOnTheConsole) {
  for (const Level level : kLevels) {
    for (const Level console : kLevels) {
      Start(level, console);
      const std::string on_console = OnConsole([] {
        for (const Level each : kLevels) LogAt(each);
      });
      StopLog();  // writes out what is buffered
      const std::string in_file = folder_.Read("log");
      std::string expected;
      size_t lines = 0;
      for (const Level each : kLevels) {
        const std::string name = kNames[static_cast<size_t>(each)];
        if (each >= console) absl::StrAppend(&expected, name, ": said\n");
        if (each >= level) ++lines;
        EXPECT_EQ(absl::StrContains(in_file, "\"level\":\"" + name + "\""), each >= level) << name;
      }
      EXPECT_EQ(on_console, expected);
      EXPECT_EQ(std::count(in_file.begin(), in_file.end(), '\n'), lines);
      std::filesystem::remove(folder_ / "log");
    }
  }
}

TEST_F(LogFormat, IsOneObjectWithItsMembersInOrder) {
  Start();
  EXPECT_EQ(Line([] {
              LogInfo("checkpoint written", {{"step", 40}, {"path", "/a"}});
            }),
            R"("level":"info","service":"worker-0","message":"checkpoint written",)"
            R"("fields":{"step":40,"path":"/a"}})"
            "\n");
  EXPECT_EQ(Line([] { LogWarning("nothing beside it"); }),
            R"("level":"warning","service":"worker-0","message":"nothing beside it"})"
            "\n");
}

TEST_F(LogFormat, WritesEveryTypeOfField) {
  Start(Level::kDebug, Level::kWarning);
  const auto log = [] {
    LogWarning("m", {{"least", std::numeric_limits<int64_t>::min()},
                     {"most", std::numeric_limits<uint64_t>::max()},
                     {"byte", static_cast<int8_t>(-3)},
                     {"real", 0.1},
                     {"small", 5e-324},
                     {"nan", std::numeric_limits<double>::quiet_NaN()},
                     {"yes", true},
                     {"text", std::string("a \"b\" \\")},
                     {"view", std::string_view("abc").substr(1)},
                     {"ok", absl::OkStatus()},
                     {"status", absl::UnavailableError("no connection")}});
  };
  std::string line;
  const std::string console = OnConsole([&] { line = Line(log); });
  EXPECT_THAT(line, HasSubstr(R"("fields":{"least":-9223372036854775808,)"
                              R"("most":18446744073709551615,"byte":-3,"real":0.1,)"
                              R"("small":5e-324,"nan":null,"yes":true,"text":"a \"b\" \\",)"
                              R"("view":"bc","ok":"OK","status":"UNAVAILABLE: no connection"}})"));
  EXPECT_EQ(console,
            "warning: m least=-9223372036854775808 most=18446744073709551615 byte=-3 real=0.1 "
            "small=5e-324 nan=null yes=true text=a \"b\" \\ view=bc ok=OK "
            "status=UNAVAILABLE: no connection\n");
}

TEST_F(LogFormat, EscapesControlCharactersAndWhatIsNoUtf8AndKeepsEveryOther) {
  Start(Level::kDebug, Level::kError);
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text = absl::StrCat("a", std::string(1, static_cast<char>(byte)), "z");
    std::string shown = text;
    if (byte < 0x20 || byte >= 0x7f)
      shown = byte == '\n' ? "a\\nz" : absl::StrCat("a\\x", absl::Hex(byte, absl::kZeroPad2), "z");
    EXPECT_EQ(Logged(text), shown) << byte;
    EXPECT_EQ(OnConsole([&] {
                LogError(text, {{"t", text}});
              }),
              "error: " + shown + " t=" + shown + "\n");
  }
  EXPECT_EQ(Logged("é \u2028 \U0001f600"), "é \u2028 \U0001f600");
}

TEST_F(LogFormat, CutsTextsAtFiveHundredBytes) {
  Start();
  const std::string most(500, 'x');
  EXPECT_EQ(Logged(most), most);
  EXPECT_EQ(Logged(most + "y"), most + "...");
  EXPECT_EQ(Logged(std::string(10'000, '\x1b')).size(), 500u + 3);
  EXPECT_EQ(Logged(std::string(499, 'x') + "é!"), std::string(499, 'x') + "é...")
      << "the last character stays whole";
  EXPECT_THAT(Line([&] { LogInfo(most + "y"); }), HasSubstr("\"message\":\"" + most + "...\"}"));
}

TEST_F(LogFormat, IsTheServicesOwnWhateverItsName) {
  ASSERT_TRUE(StartLog({.service = "a\"b\nc", .file = folder_ / "log"}).ok());
  EXPECT_THAT(Line([] { LogInfo("m"); }), HasSubstr(R"("service":"a\"b\nc","message":"m"})"));
}

TEST_F(LogFormat, GoesToTheFileOfTheLastStart) {
  Start();
  LogInfo("first");
  ASSERT_TRUE(StartLog({.service = "s", .file = folder_ / "second"}).ok());
  LogInfo("second");
  EXPECT_THAT(folder_.Read("log"), HasSubstr("\"first\""));
  EXPECT_THAT(folder_.Read("log"), Not(HasSubstr("\"second\"")));
  EXPECT_THAT(folder_.Read("second"), HasSubstr("\"second\""));
  // A start that fails leaves it as it was.
  EXPECT_TRUE(IsInputError(StartLog({.service = "s", .file = "/proc/nowhere/log"})));
  LogInfo("third");
  EXPECT_THAT(folder_.Read("second"), HasSubstr("\"third\""));
  StopLog();
  EXPECT_EQ(OnConsole([] { LogWarning("fourth"); }), "warning: fourth\n");
  EXPECT_THAT(folder_.Read("second"), Not(HasSubstr("\"fourth\"")));
}

TEST_F(LogFormat, HasNoFileWhereNoneIsNamed) {
  ASSERT_TRUE(
      StartLog({.service = "s", .file = "", .level = Level::kDebug, .console = Level::kInfo}).ok());
  EXPECT_EQ(OnConsole([] {
              LogDebug("quiet");
              LogInfo("loud", {{"n", 1}});
            }),
            "info: loud n=1\n");
}

TEST(ParseLevel, TakesTheFourNamesAndNothingLikeThem) {
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(*ParseLevel(kNames[i]), kLevels[i]);
  for (const char* name : {"", "Info", "info ", "warn", "4", "trace"}) {
    EXPECT_EQ(ParseLevel(name).status().message(),
              absl::StrCat("log level: found \"", name, "\"; debug, info, warning or error"));
  }
  EXPECT_THAT(std::string(ParseLevel("a\n" + std::string(100, 'b')).status().message()),
              StartsWith("log level: found \"a\\n" + std::string(37, 'b') + "...\"; "));
}

}  // namespace
}  // namespace attnrl::observe
