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
    score.Add("--steps", &steps_, "Steps (default: as many as there are)").AboveZero();
    score.Add("--kind", &kind_, "Kind").OneOf({"fast", "slow"});
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
  int64_t steps_ = 0;
  std::string kind_ = "fast";
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

TEST_F(CommandLine, RefusesAnEmptyValueOfAFlagThatIsNeeded) {
  EXPECT_EQ(Parse({"score", "--model", ""}), "--model: is empty; a value is needed");
  EXPECT_EQ(Parse({"score", "--model="}), "--model: has no value; see attnrl score --help");
  EXPECT_EQ(Parse({"score", "--model", "m", "--stats", ""}), "") << "as if it were not there";
}

TEST_F(CommandLine, NamesTheFlagWithABadValue) {
  EXPECT_EQ(Parse({"score", "--model", "m", "--samples", "many"}),
            "--samples: is many; a whole number is needed");
  EXPECT_EQ(Parse({"score", "--model", "m", "--temperature", "-1"}),
            "--temperature: is -1; 0 to 100 is allowed");
  EXPECT_EQ(Parse({"score", "--model", "m", "--rate", "-1"}), "--rate: is -1; 0 or more is needed");
  EXPECT_EQ(Parse({"score", "--model", "m", "--steps", "0"}),
            "--steps: is 0; more than 0 is needed");
  EXPECT_EQ(Parse({"score", "--model", "m", "--kind", "slwo"}),
            "--kind: is slwo; did you mean slow? fast|slow");
  EXPECT_EQ(Parse({"score", "--model", "m", "--samples", "1", "--samples", "2"}),
            "--samples: is there more than once; see attnrl score --help");
  EXPECT_EQ(Parse({"score", "--model", "m", "--samples"}),
            "--samples: has no value; see attnrl score --help");
}

TEST_F(CommandLine, RefusesWhatIsNoNumber) {
  for (const char* text : {"nan", "inf", "-inf"}) {
    EXPECT_THAT(Parse({"score", "--model", "m", "--rate", text}), StartsWith("--rate: "));
  }
  EXPECT_EQ(Parse({"score", "--model", "m", "--seed", "-1"}),
            "--seed: is -1; a whole number of 0 or more is needed");
  EXPECT_EQ(Parse({"score", "--model", "m", "--seed", "18446744073709551615"}), "");
}

TEST_F(CommandLine, HelpShowsDefaultsRangesAndWords) {
  ::testing::internal::CaptureStdout();
  EXPECT_EQ(Parse({"score", "--help"}), "");
  EXPECT_THAT(::testing::internal::GetCapturedStdout(),
              HasSubstr("  --model TEXT REQUIRED       Model\n"
                        "  --samples INT=0             Samples\n"
                        "  --temperature FLOAT=0       Temperature (0 to 100)\n"
                        "  --rate FLOAT=0              Rate\n"
                        "  --seed UINT=0               Seed\n"
                        "  --stats TEXT                Statistics\n"
                        "  --steps INT                 Steps (default: as many as there are)\n"
                        "  --kind fast|slow=fast       Kind\n"));
}

TEST_F(CommandLine, AFileThatCannotBeWrittenIsRefusedBeforeTheWork) {
  EXPECT_EQ(Parse({"score", "--model", "m", "--stats", "no/such/file"}),
            "--stats: there is no folder no/such; a file in a folder that may be written, or -");
  EXPECT_EQ(Parse({"score", "--model", "m", "--stats", "/"}),
            "--stats: / is a folder; a file in a folder that may be written, or -");
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
  EXPECT_EQ(parse({"--config", "a", "--port", "0"}), "--port: is 0; 1 to 65535 is allowed");
  EXPECT_EQ(parse({"--config", "a", "--quiet", "--port", "1"}),
            "--port: is there with --quiet; only one of them is allowed");
  EXPECT_THAT(parse({"--confg", "a"}),
              StartsWith("--confg: no such flag; did you mean --config? "));
}

TEST_F(CommandLine, RefusesArgumentsThatAreNotFlags) {
  EXPECT_THAT(Parse({"score", "--model", "m", "stray"}), HasSubstr("stray: unexpected argument"));
}

TEST_F(CommandLine, NamesTheFlagThatWasLeftOutInFrontOfItsValue) {
  EXPECT_EQ(Parse({"score", "folder"}),
            "folder: unexpected argument; did you mean --model folder? see attnrl score --help");
  EXPECT_EQ(Parse({"score", "--model", "m", "folder"}),
            "folder: unexpected argument; see attnrl score --help");
}

}  // namespace
}  // namespace attnrl
