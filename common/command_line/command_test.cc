// SPDX-License-Identifier: Apache-2.0
#include "common/command_line/command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/status.h"

namespace attnrl {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class CommandLine : public ::testing::Test {
 protected:
  CommandLine() {
    Command& score = app_.AddCommand("score", "Scores");
    score.Add("--model", &model_, "Model").Required();
    score.Add("--samples", &samples_, "Samples");
    score.Add("--temperature", &temperature_, "Temperature").BetweenReals(0, 100);
    score.Add("--rate", &rate_, "Rate").AtLeastZero();
    score.Add("--seed", &seed_, "Seed");
    score.Add("--stats", &stats_, "Statistics").Writable();
    score.WhenChosen([this] { ++scored_; });
    app_.AddCommand("train", "Trains");
  }

  std::string Parse(std::vector<const char*> args) {
    args.insert(args.begin(), "attnrl");
    bool answered = false;
    const absl::Status status = app_.Parse(static_cast<int>(args.size()), args.data(), &answered);
    EXPECT_TRUE(status.ok() || IsInputError(status));
    return std::string(status.message());
  }

  Command app_{"test", "attnrl"};
  int scored_ = 0;
  std::string model_;
  int samples_ = 0;
  double temperature_ = 0, rate_ = 0;
  uint64_t seed_ = 0;
  std::string stats_;
};

TEST_F(CommandLine, AcceptsWhatIsRight) {
  EXPECT_EQ(Parse({"score", "--model", "m", "--temperature", "0.5"}), "");
  EXPECT_EQ(model_, "m");
  EXPECT_EQ(temperature_, 0.5);
  EXPECT_EQ(scored_, 1);
}

TEST_F(CommandLine, NamesTheCommandThatWasMeant) {
  EXPECT_THAT(Parse({"trane"}), StartsWith("trane: no such command; did you mean train? "));
  EXPECT_THAT(Parse({"xyz"}), StartsWith("xyz: no such command; commands are "));
}

TEST_F(CommandLine, NamesTheFlagThatWasMeant) {
  EXPECT_THAT(Parse({"score", "--modle", "m"}),
              StartsWith("--modle: no such flag; did you mean --model? "));
}

TEST_F(CommandLine, NamesTheFlagThatIsMissing) {
  EXPECT_THAT(Parse({"score"}), StartsWith("--model: is required; "));
}

TEST_F(CommandLine, NamesTheFlagWithABadValue) {
  EXPECT_THAT(Parse({"score", "--model", "m", "--samples", "many"}), StartsWith("--samples: "));
  EXPECT_THAT(Parse({"score", "--model", "m", "--temperature", "-1"}),
              StartsWith("--temperature: "));
}

TEST_F(CommandLine, RefusesWhatIsNoNumber) {
  for (const char* text : {"nan", "inf", "-inf"}) {
    EXPECT_THAT(Parse({"score", "--model", "m", "--rate", text}), StartsWith("--rate: "));
  }
  EXPECT_EQ(Parse({"score", "--model", "m", "--seed", "-1"}),
            "--seed: is -1; a whole number of 0 or more is needed");
  EXPECT_EQ(Parse({"score", "--model", "m", "--seed", "18446744073709551615"}), "");
}

TEST_F(CommandLine, ARangeWithoutAnEndIsNotPrintedInFull) {
  EXPECT_EQ(Parse({"score", "--model", "m", "--rate", "-1"}),
            "--rate: Value -1 is out of range; see attnrl score --help");
}

TEST_F(CommandLine, AFileThatCannotBeWrittenIsRefusedBeforeTheWork) {
  EXPECT_EQ(Parse({"score", "--model", "m", "--stats", "no/such/file"}),
            "--stats: there is no folder no/such; see attnrl score --help");
  EXPECT_EQ(Parse({"score", "--model", "m", "--stats", "/"}),
            "--stats: / is a folder; see attnrl score --help");
  EXPECT_EQ(Parse({"score", "--model", "m", "--stats", "-"}), "");
  EXPECT_EQ(Parse({"score", "--model", "m", "--stats", "new-file"}), "");
}

TEST(Program, WithoutCommandsNamesItselfInWhatItRefuses) {
  Command program("Learns", "attnrl-learner");
  std::string config;
  std::vector<std::string> sets;
  int port = 0;
  bool quiet = false;
  program.Add("--config", &config, "Configuration").Required();
  program.Add("--set", &sets, "Set a key").Repeatable();
  const Flag flag = program.Add("--port", &port, "Port").Between(1, 65535);
  program.AddSwitch("--quiet", &quiet, "Say less").Excludes(flag);
  const auto parse = [&](std::vector<const char*> args) {
    args.insert(args.begin(), "attnrl-learner");
    bool answered = false;
    return std::string(
        program.Parse(static_cast<int>(args.size()), args.data(), &answered).message());
  };
  EXPECT_EQ(parse({"--config", "a", "--set", "b=1", "--set", "c=2", "--port", "80"}), "");
  EXPECT_EQ(sets, (std::vector<std::string>{"b=1", "c=2"}));
  EXPECT_EQ(port, 80);
  EXPECT_EQ(parse({}), "--config: is required; see attnrl-learner --help");
  EXPECT_EQ(parse({"--config", "a", "--port", "0"}),
            "--port: Value 0 not in range 1 to 65535; see attnrl-learner --help");
  EXPECT_THAT(parse({"--config", "a", "--quiet", "--port", "1"}),
              HasSubstr("--port excludes --quiet"));
  EXPECT_THAT(parse({"--confg", "a"}),
              StartsWith("--confg: no such flag; did you mean --config? "));
}

TEST_F(CommandLine, RefusesArgumentsThatAreNotFlags) {
  EXPECT_THAT(Parse({"score", "--model", "m", "stray"}), HasSubstr("stray: unexpected argument"));
}

}  // namespace
}  // namespace attnrl
