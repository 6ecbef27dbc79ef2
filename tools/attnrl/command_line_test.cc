// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include "common/base/status.h"

namespace attnrl::tools {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class CommandLine : public ::testing::Test {
 protected:
  CommandLine() {
    app_.require_subcommand(0, 1);
    CLI::App* score = app_.add_subcommand("score", "Scores");
    score->add_option("--model", model_)->required();
    score->add_option("--samples", samples_);
    score->add_option("--temperature", temperature_)->check(CLI::Range(0.0, 100.0));
    score->add_option("--rate", rate_)->check(CLI::NonNegativeNumber);
    score->add_option("--seed", seed_);
    score->add_option("--stats", stats_)->check(NotWritable);
    app_.add_subcommand("train", "Trains");
  }

  std::string Parse(std::vector<const char*> args) {
    args.insert(args.begin(), "attnrl");
    bool answered = false;
    const absl::Status status =
        ParseCommandLine(app_, static_cast<int>(args.size()), args.data(), &answered);
    EXPECT_TRUE(status.ok() || IsInputError(status));
    return std::string(status.message());
  }

  CLI::App app_{"test", "attnrl"};
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

TEST_F(CommandLine, RefusesArgumentsThatAreNotFlags) {
  EXPECT_THAT(Parse({"score", "--model", "m", "stray"}), HasSubstr("stray: unexpected argument"));
}

}  // namespace
}  // namespace attnrl::tools
