// SPDX-License-Identifier: Apache-2.0
#include "tools/command_line.h"

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
  double temperature_ = 0;
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

TEST_F(CommandLine, RefusesArgumentsThatAreNotFlags) {
  EXPECT_THAT(Parse({"score", "--model", "m", "stray"}), HasSubstr("stray: unexpected argument"));
}

}  // namespace
}  // namespace attnrl::tools
