// SPDX-License-Identifier: Apache-2.0
// The same mistakes with every command: a file that isn't there, a folder in its place, a record of
// another form, a place that can't be written, a flag of another type. What a command refuses
// leaves nothing behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_replace.h"
#include "tools/attnrl/testing/captured_output.h"
#include "tools/attnrl/testing/command_test.h"

namespace attnrl::tools {
namespace fs = std::filesystem;
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// A command line that is right but for what a test makes wrong. M is a model folder, OUT a file
// that can be written.
struct Command {
  const char* name;
  const char* model;   // the flag of its model; "" where it has none
  const char* input;   // the flag of its input
  const char* output;  // the flag of its output; "" where that is optional
  const char* good;    // a record that it takes
};

void PrintTo(const Command& command, std::ostream* out) { *out << command.name; }

const Command kCommands[] = {
    {"tokenize", "--model", "--input", "--output", R"({"id":1,"text":"a"})"},
    {"branch", "", "--input", "--output", R"({"id":1,"steps":[[0,1],[1,2]],"fci":[0,0]})"},
    {"advantages", "", "--input", "--output", R"({"id":1,"responses":[]})"},
    {"generate", "--model", "--input", "--output", R"({"id":1,"prompt":"a"})"},
    {"score", "--model", "--input", "--output", R"({"id":1,"prompt_ids":[1],"response_ids":[2]})"},
    {"fci", "--model", "--input", "--output", R"({"id":1,"prompt_ids":[1],"response_ids":[2]})"},
    {"eval", "--model", "--data", "", R"({"id":1,"prompt":"a","answers":["1"]})"},
    {"sft", "--model", "--data", "--output", R"({"id":1,"prompt":"a","response":"b"})"},
    {"learn-bench", "--model", "--input", "", ""},
};

class RefusalOf : public CommandTest, public ::testing::WithParamInterface<Command> {
 protected:
  void SetUp() override {
    const CapturedOutput quiet;
    ASSERT_TRUE(Run({"make-task", "--model-recipe", model_}).ok());
  }

  // The whole command line, its input the file `input`.
  std::vector<std::string> Line(const std::string& model, const std::string& input,
                                const std::string& output) const {
    const Command& command = GetParam();
    std::vector<std::string> words = {command.name, command.input, input};
    if (*command.model != 0) words.insert(words.end(), {command.model, model});
    if (*command.output != 0) words.insert(words.end(), {command.output, output});
    return words;
  }
  std::string Refusal(const std::vector<std::string>& words) const {
    const CapturedOutput output;
    const std::string refusal = Refused(Run(words));
    EXPECT_EQ(output.out(), "");
    EXPECT_EQ(refusal.find('\n'), std::string::npos) << refusal;
    return refusal;
  }
  std::string RefusalOfInput(const std::string& content) const {
    const std::string refusal = Refusal(Line(model_, folder_.Write("in", content), out_));
    EXPECT_FALSE(fs::exists(out_)) << content;
    EXPECT_EQ(folder_.Count(), 2u) << "more than the model and the input is left";
    return refusal;
  }

  const std::string model_ = folder_ / "model";
  const std::string out_ = folder_ / "out";
};

TEST_P(RefusalOf, AnInputThatIsNotThere) {
  EXPECT_EQ(Refusal(Line(model_, folder_ / "nowhere", out_)),
            "nowhere: can't be read: No such file or directory; a JSON Lines file is needed");
}

TEST_P(RefusalOf, AFolderInPlaceOfTheInput) {
  fs::create_directory(folder_ / "folder");
  const std::string refusal = Refusal(Line(model_, folder_ / "folder", out_));
  if (GetParam().name == std::string("learn-bench")) {  // takes folders of files
    EXPECT_THAT(refusal, HasSubstr("folder: holds no files batch-N.jsonl.zst; "));
  } else {
    EXPECT_EQ(refusal, "folder: is a directory; a JSON Lines file is needed");
  }
}

TEST_P(RefusalOf, ALineThatIsNoRecord) {
  const std::string good = GetParam().good;
  const std::string second = good.empty() ? "in:1: " : "in:2: ";
  const std::string first = good.empty() ? "" : good + "\n";
  EXPECT_THAT(RefusalOfInput(first + "{\"id\":"), StartsWith(second + "not JSON at byte 7; "));
  EXPECT_THAT(RefusalOfInput(first + "[1,2]"), StartsWith(second + "found array; "));
  EXPECT_THAT(RefusalOfInput(first + "\"text\""), StartsWith(second + "found string; "));
  EXPECT_THAT(RefusalOfInput(first + "null"), StartsWith(second + "found null; "));
  EXPECT_THAT(RefusalOfInput(first + "{}"), StartsWith(second));
  EXPECT_THAT(RefusalOfInput(first + std::string(5000, '[')), StartsWith(second));
}

TEST_P(RefusalOf, AModelThatIsNotThere) {
  if (*GetParam().model == 0) return;
  const std::string input = folder_.Write("in", GetParam().good);
  EXPECT_THAT(Refusal(Line(folder_ / "nowhere", input, out_)), StartsWith("nowhere/"));
  EXPECT_THAT(Refusal(Line(input, input, out_)), StartsWith("in/"));  // a file in its place
}

TEST_P(RefusalOf, APlaceThatCannotBeWritten) {
  const Command& command = GetParam();
  if (*command.output == 0 || command.name == std::string("sft")) return;  // sft makes its folder
  const std::string input = folder_.Write("in", command.good);
  // Before the weights, which this model does not have, are read.
  EXPECT_THAT(Refusal(Line(model_, input, folder_ / "no/such/out")), HasSubstr("no/such"));
}

TEST_P(RefusalOf, AFlagThatItDoesNotHave) {
  std::vector<std::string> words = Line(model_, folder_ / "in", out_);
  words.emplace_back("--inptu=x");
  EXPECT_THAT(Refusal(words), StartsWith("--inptu: no such flag; "));
  words.back() = "stray";
  EXPECT_THAT(Refusal(words), HasSubstr("stray"));
}

TEST_P(RefusalOf, EachFlagWithoutItsValue) {
  std::vector<std::string> words = Line(model_, folder_ / "in", out_);
  words.pop_back();
  const std::string flag = words.back();
  EXPECT_THAT(Refusal(words), StartsWith(flag + ": "));
}

INSTANTIATE_TEST_SUITE_P(Commands, RefusalOf, ::testing::ValuesIn(kCommands),
                         [](const auto& instance) {
                           return absl::StrReplaceAll(instance.param.name, {{"-", "_"}});
                         });

class RefusedFlags : public CommandTest {
 protected:
  // The command's required flags, each with a value that parses.
  static std::vector<std::string> Required(const std::string& command) {
    if (command == "generate" || command == "score" || command == "fci") {
      return {command, "--model", "m", "--input", "i", "--output", "o"};
    }
    if (command == "eval") return {command, "--model", "m", "--data", "d"};
    if (command == "sft") return {command, "--model", "m", "--data", "d", "--output", "o"};
    if (command == "learn-bench") return {command, "--model", "m", "--input", "i"};
    return {command};
  }
};

// CLI11 words some of these; the flag comes first, then what was given.
TEST_F(RefusedFlags, AreNamedWithWhatWasGiven) {
  struct Case {
    std::string command, flag, value;
  };
  for (const Case& each : std::vector<Case>{
           {"branch", "--points", "0"},
           {"branch", "--points", "65"},
           {"branch", "--points", "two"},
           {"branch", "--quantile", "1.01"},
           {"branch", "--quantile", "nan"},
           {"branch", "--min-distance", "-1"},
           {"branch", "--choice", "best"},
           {"make-task", "--count", "0"},
           {"make-task", "--count", "1e3"},
           {"make-task", "--seed", "-1"},
           {"make-task", "--max-definitions", "0"},
           {"verify", "--threads", "0"},
           {"verify", "--threads", "1025"},
           {"verify", "--timeout-ms", "0"},
           {"verify", "--stats", "/nowhere/stats"},
           {"generate", "--samples", "0"},
           {"generate", "--samples", "1.5"},
           {"generate", "--temperature", "-1"},
           {"generate", "--temperature", "hot"},
           {"generate", "--temperature", "1e-40"},
           {"generate", "--top-p", "0"},
           {"generate", "--top-k", "-1"},
           {"generate", "--max-batch", "0"},
           {"generate", "--max-new-tokens", "-1"},
           {"generate", "--stats", "/nowhere/s"},
           {"eval", "--samples", "0"},
           {"eval", "--field", "gold"},
           {"eval", "--field", "answers=gold"},
           {"eval", "--field", "answer="},
           {"eval", "--output", "/nowhere/o"},
           {"score", "--threads", "1025"},
           {"fci", "--delta", "-1"},
           {"fci", "--method", "guess"},
           {"fci", "--stats", "/nowhere/stats"},
           {"sft", "--steps", "-1"},
           {"sft", "--batch", "0"},
           {"sft", "--temperature", "1e-40"},
           {"sft", "--threads", "0"},
           {"learn-bench", "--dtype", "int8"},
           {"learn-bench", "--steps", "-1"},
           {"learn-bench", "--stats", "/nowhere/s"},
       }) {
    std::vector<std::string> words = Required(each.command);
    words.insert(words.end(), {each.flag, each.value});
    const std::string refusal = Refused(Run(words));
    EXPECT_THAT(refusal, StartsWith(each.flag + ": ")) << each.command;
    EXPECT_THAT(refusal, HasSubstr("; ")) << each.command;
    EXPECT_LT(refusal.size(), 250u) << refusal;
    if (each.value[0] != '/') {
      EXPECT_THAT(refusal, HasSubstr(each.value)) << each.command;
    }
  }
}

}  // namespace
}  // namespace attnrl::tools
