// SPDX-License-Identifier: Apache-2.0
// What `attnrl COMMAND --help` prints, word for word: others script against the flags, and read
// these texts before anything else. The goldens are testing/help/<command>.txt.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "tools/attnrl/command.h"
#include "tools/attnrl/testing/captured_output.h"

namespace attnrl::tools {
namespace fs = std::filesystem;
namespace {

using ::testing::UnorderedElementsAreArray;

constexpr char kGoldens[] = ATTNRL_SOURCE_DIR "/tools/attnrl/testing/help";

std::vector<std::string> CommandNames() {
  Command app("test", "attnrl");
  Work run;
  AddEveryCommand(app, &run);
  return app.CommandNames();
}

std::string Help(const std::string& command) {
  Command app("test", "attnrl");
  Work run;
  AddEveryCommand(app, &run);
  const char* arguments[] = {"attnrl", command.c_str(), "--help"};
  const CapturedOutput output;
  bool answered = false;
  const absl::Status status = app.Parse(3, arguments, &answered);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(answered);
  EXPECT_FALSE(run) << "help was asked for, and work would begin";
  EXPECT_EQ(output.err(), "");
  return output.out();
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class HelpOf : public ::testing::TestWithParam<std::string> {
 protected:
  const std::string& command() const { return GetParam(); }
};

TEST_P(HelpOf, IsTheGolden) {
  const std::string path = std::string(kGoldens) + "/" + command() + ".txt";
  const std::string help = Help(command());
  if (getenv("WRITE_GOLDENS") != nullptr) std::ofstream(path, std::ios::binary) << help;
  EXPECT_EQ(help, ReadFile(path)) << "where the change is meant, WRITE_GOLDENS=1 before this test "
                                     "rewrites "
                                  << path << " (made with CLI11 2.1.2)";
}

TEST_P(HelpOf, DependsOnNoTerminalAndNoSetting) {
  const std::string usual = Help(command());
  const char* settings[][2] = {{"COLUMNS", "20"}, {"LC_ALL", "de_DE.UTF-8"}, {"TERM", "dumb"}};
  for (const auto& [name, value] : settings) {
    const char* before = getenv(name);
    const std::string kept = before == nullptr ? "" : before;
    setenv(name, value, 1);
    EXPECT_EQ(Help(command()), usual) << name;
    before == nullptr ? unsetenv(name) : setenv(name, kept.c_str(), 1);
  }
}

TEST_P(HelpOf, HasAnExampleThatParses) {
  const std::string help = Help(command());
  const std::string call = "attnrl " + command() + " ";
  const size_t example = help.find("Example");
  ASSERT_NE(example, std::string::npos) << help;
  const size_t begin = help.find(call, example);
  ASSERT_NE(begin, std::string::npos) << help;
  std::istringstream line(help.substr(begin, help.find('\n', begin) - begin));
  const std::vector<std::string> words{std::istream_iterator<std::string>(line), {}};
  std::vector<const char*> arguments;
  for (const std::string& word : words) arguments.push_back(word.c_str());
  Command app("test", "attnrl");
  Work run;
  AddEveryCommand(app, &run);
  bool answered = false;
  const absl::Status status =
      app.Parse(static_cast<int>(arguments.size()), arguments.data(), &answered);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(run) << help;
}

INSTANTIATE_TEST_SUITE_P(Commands, HelpOf, ::testing::ValuesIn(CommandNames()),
                         [](const auto& instance) {
                           std::string name = instance.param;
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name;
                         });

TEST(Help, HasAGoldenForEveryCommandAndForNothingElse) {
  std::vector<std::string> goldens;
  for (const auto& entry : fs::directory_iterator(kGoldens)) {
    goldens.push_back(entry.path().stem().string());
  }
  EXPECT_THAT(goldens, UnorderedElementsAreArray(CommandNames()));
}

}  // namespace
}  // namespace attnrl::tools
