// SPDX-License-Identifier: Apache-2.0
// The commands that need no model: tokenize, branch, advantages, make-task, tree.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "tools/attnrl/testing/command_test.h"

namespace attnrl::tools {
namespace {

using testing::HasSubstr;

class TextCommands : public CommandTest {
 protected:
  std::string Path(const std::string& name) const { return folder_ / name; }
  void Write(const std::string& name, const std::string& content) const {
    folder_.Write(name, content);
  }
  std::string Read(const std::string& name) const { return folder_.Read(name); }

  // --input in and --output out for the commands that read.
  absl::Status Run(std::vector<std::string> words) const {
    const bool reads = words[0] != "make-task" && words[0] != "tree";
    if (reads) words.insert(words.end(), {"--input", Path("in")});
    words.insert(words.end(), {"--output", Path("out")});
    return CommandTest::Run(words);
  }
  std::string Refusal(const std::vector<std::string>& words) const { return Refused(Run(words)); }
};

TEST_F(TextCommands, TokenizeEncodesAndDecodes) {
  ASSERT_TRUE(Run({"make-task", "--model-recipe", folder_.path()}).ok());
  Write("in",
        "{\"id\":\"a\",\"text\":\"d=10\\n\\n<|endoftext|>\",\"more\":1}\n\n{\"id\":2,\"text\":\"\"}"
        "\n");
  ASSERT_TRUE(Run({"tokenize", "--model", folder_.path()}).ok());
  EXPECT_EQ(Read("out"), "{\"id\":\"a\",\"ids\":[100,61,257,256,262]}\n{\"id\":2,\"ids\":[]}\n");
  std::filesystem::rename(Path("out"), Path("in"));
  ASSERT_TRUE(Run({"tokenize", "--model", folder_.path(), "--decode"}).ok());
  EXPECT_EQ(Read("out"),
            "{\"id\":\"a\",\"text\":\"d=10\\n\\n<|endoftext|>\"}\n{\"id\":2,\"text\":\"\"}\n");
}

TEST_F(TextCommands, TokenizeRendersConversations) {
  ASSERT_TRUE(Run({"make-task", "--model-recipe", folder_.path()}).ok());
  Write("in",
        "{\"id\":1,\"messages\":[{\"role\":\"u\",\"content\":\"x\"}],\"add_generation_prompt\":"
        "false}");
  EXPECT_THAT(Refusal({"tokenize", "--model", folder_.path(), "--skip-bad"}),
              HasSubstr("tokenizer_config.json: chat_template: the model has no chat template"));
  ASSERT_TRUE(Run({"tokenize", "--model", folder_.path(), "--chat-template", "chatml"}).ok());
  const std::string encoded = Read("out");
  Write("in", encoded);
  ASSERT_TRUE(Run({"tokenize", "--model", folder_.path(), "--decode"}).ok());
  EXPECT_EQ(Read("out"), "{\"id\":1,\"text\":\"<|im_start|>u\\nx<|im_end|>\\n\"}\n");
}

TEST_F(TextCommands, TokenizeNamesFileLineAndFieldOfABadRecord) {
  ASSERT_TRUE(Run({"make-task", "--model-recipe", folder_.path()}).ok());
  const std::vector<std::string> encode = {"tokenize", "--model", folder_.path()};
  const std::vector<std::string> decode = {"tokenize", "--model", folder_.path(), "--decode"};
  Write("in", "{\"id\":1,\"text\":\"\"}\n{\"id\":2}\n");
  EXPECT_THAT(Refusal(encode), HasSubstr("in:2: field \"text\" is missing"));
  Write("in", "{\"id\":1,\"messages\":[{\"role\":\"user\"}]}\n");
  EXPECT_THAT(Refusal(encode), HasSubstr("in:1: field \"messages\", item 0 is no message"));
  Write("in", "{\"id\":1,\"ids\":[264]}\n");
  EXPECT_EQ(Refusal(decode), "in:1: token id 264 is outside the vocabulary; 0 to 263");
  EXPECT_THAT(Refusal({"tokenize", "--model", Path("nowhere")}),
              HasSubstr("nowhere/tokenizer.json"));
  EXPECT_THAT(Refusal({"tokenize"}), HasSubstr("--model"));
}

TEST_F(TextCommands, TokenizeLeavesBadRecordsOutWhenAsked) {
  ASSERT_TRUE(Run({"make-task", "--model-recipe", folder_.path()}).ok());
  Write("in", "{\"id\":1}\nnot json\n{\"id\":3,\"text\":\"a\"}\n");
  ASSERT_TRUE(Run({"tokenize", "--model", folder_.path(), "--skip-bad"}).ok());
  EXPECT_EQ(Read("out"), "{\"id\":3,\"ids\":[97]}\n");
}

TEST_F(TextCommands, AdvantagesListsTheSamplesOfATree) {
  Write(
      "in",
      "{\"id\":\"t\",\"responses\":[{\"tokens\":10,\"reward\":1,\"branches\":[{\"split\":4,"
      "\"children\":[{\"tokens\":5,\"reward\":0}]}]}]}\n"
      "{\"id\":\"u\",\"responses\":[{\"tokens\":10,\"reward\":1}],\"max_response_length\":null}\n");
  ASSERT_TRUE(Run({"advantages"}).ok());
  EXPECT_EQ(Read("out"),
            "{\"id\":\"t\",\"dropped\":false,\"leaves\":[{\"response\":0,\"branch\":null,\"child\":"
            "null,\"reward\":1.0,\"segments\":[[4,0.0],[6,1.0]]},{\"response\":0,\"branch\":0,"
            "\"child\":0,\"reward\":0.0,\"segments\":[[4,0.0],[5,-1.0]]}]}\n"
            "{\"id\":\"u\",\"dropped\":true,\"leaves\":[]}\n");
}

TEST_F(TextCommands, AdvantagesNamesWhatIsWrong) {
  const auto refusal = [this](const std::string& responses) {
    Write("in", "{\"id\":1,\"responses\":" + responses + "}");
    return Refusal({"advantages"});
  };
  EXPECT_EQ(refusal("3"), "in:1: responses: is missing or not a list; a list is needed");
  EXPECT_THAT(refusal("[{\"tokens\":1.5}]"), HasSubstr("in:1: responses[0].tokens: is missing or"));
  EXPECT_THAT(refusal("[{\"tokens\":3}]"), HasSubstr("in:1: responses[0].reward: is missing or"));
  EXPECT_THAT(refusal("[{\"tokens\":3,\"reward\":1,\"branches\":[{\"split\":3,\"children\":"
                      "[{\"tokens\":1,\"reward\":1}]}]}]"),
              HasSubstr("in:1: responses[0].branches[0].split: 3 is outside the response; 0 to 2"));
  EXPECT_THAT(refusal("[{\"tokens\":3,\"reward\":1,\"branches\":[{\"split\":1}]}]"),
              HasSubstr("branches[0].children: is missing or not a list"));
}

// Steps of ten tokens, the prompt's included; the scores 0.5, 0.7, 0.5, 0.7, 0.5 in the middle.
constexpr char kScored[] =
    "\"steps\":[[0,10],[10,20],[20,30],[30,40],[40,50],[50,60],[60,70],[70,80],[80,90]],"
    "\"fci\":[0,0,0.5,0.7,0.5,0.7,0.5,0,0]";

TEST_F(TextCommands, BranchChoosesByTheFlags) {
  Write("in", std::string("{\"id\":\"t\",") + kScored + "}\n");
  const auto points = [this](std::vector<std::string> flags) {
    flags.insert(flags.begin(), "branch");
    EXPECT_TRUE(Run(flags).ok());
    return Read("out");
  };
  EXPECT_EQ(points({"--min-distance", "0"}), "{\"id\":\"t\",\"points\":[20,40]}\n");
  EXPECT_EQ(points({"--min-distance", "25"}), "{\"id\":\"t\",\"points\":[10,20]}\n");
  EXPECT_EQ(points({"--min-distance", "0", "--quantile", "0.5", "--points", "1"}),
            "{\"id\":\"t\",\"points\":[10]}\n");
  EXPECT_EQ(points({"--choice", "top", "--points", "3"}), "{\"id\":\"t\",\"points\":[10,20,40]}\n");
  EXPECT_EQ(points({"--choice", "top", "--points", "3", "--spaced", "--min-distance", "20"}),
            "{\"id\":\"t\",\"points\":[20,50]}\n");
}

TEST_F(TextCommands, BranchLetsARecordsOwnValuesWin) {
  Write("in", std::string("{\"id\":7,\"points\":3,\"quantile\":0,\"min_distance\":0,") + kScored +
                  "}\n{\"id\":8,\"steps\":[[0,3],[3,5]],\"fci\":[0,0]}\n");
  ASSERT_TRUE(Run({"branch", "--points", "1"}).ok());
  EXPECT_EQ(Read("out"), "{\"id\":7,\"points\":[10,20,30]}\n{\"id\":8,\"points\":[]}\n");
}

TEST_F(TextCommands, BranchNamesWhatIsWrong) {
  const auto refusal = [this](const std::string& fields) {
    Write("in", "{\"id\":1," + fields + "}");
    return Refusal({"branch"});
  };
  EXPECT_THAT(refusal("\"fci\":[]"), HasSubstr("in:1: field \"steps\" is missing"));
  EXPECT_THAT(refusal("\"steps\":[[0,3],[4,5]],\"fci\":[0,0]"),
              HasSubstr("in:1: \"steps\"[1] is [4,5]; [start,end] pairs from 0 on without gaps"));
  EXPECT_THAT(refusal("\"steps\":[[0,3],[3,3]],\"fci\":[0,0]"), HasSubstr("\"steps\"[1] is [3,3]"));
  EXPECT_THAT(refusal("\"steps\":[[0,3],[3]],\"fci\":[0,0]"), HasSubstr("\"steps\"[1] is no pair"));
  EXPECT_THAT(refusal("\"steps\":[[0,3],[3,5]],\"fci\":[0]"),
              HasSubstr("in:1: \"fci\" has 1 scores for 2 steps; one a step is needed"));
  EXPECT_THAT(refusal("\"steps\":[[0,3],[3,5]],\"fci\":[0,1e99]"),
              HasSubstr("\"fci\" holds 1e+99"));
  const std::string good = "\"steps\":[[0,3],[3,5]],\"fci\":[0,0]";
  EXPECT_THAT(refusal(good + ",\"points\":0"), HasSubstr("\"points\" is 0; 1 to 64"));
  EXPECT_THAT(refusal(good + ",\"quantile\":1.5"), HasSubstr("\"quantile\" is 1.5; 0 to 1"));
  EXPECT_THAT(refusal(good + ",\"min_distance\":-1"), HasSubstr("\"min_distance\" is -1; 0 or"));
  EXPECT_THAT(Refusal({"branch", "--choice", "best"}), HasSubstr("--choice"));
  EXPECT_THAT(Refusal({"branch", "--quantile", "2"}), HasSubstr("--quantile"));
  EXPECT_THAT(Refusal({"branch", "--spaced"}), HasSubstr("--spaced"));
}

TEST_F(TextCommands, TreeDrawsAProblemOfARun) {
  std::filesystem::create_directories(Path("run/checkpoints/step-0"));
  std::filesystem::create_directories(Path("run/trees"));
  ASSERT_TRUE(Run({"make-task", "--model-recipe", Path("run/checkpoints/step-0")}).ok());
  Write("run/trees/batch-3.jsonl",
        "{\"problem_id\":\"p1\",\"prompt_ids\":[97],\"responses\":[]}\n"
        "{\"problem_id\":\"p2\",\"prompt_ids\":[97,98,97],\"responses\":[{\"token_ids\":[60,98,62],"
        "\"logprobs\":null,\"fci\":null,\"steps\":null,\"branches\":[]}]}\n");
  ASSERT_TRUE(Run({"tree", Path("run"), "--batch", "3", "--problem", "p2"}).ok());
  const std::string page = Read("out");
  EXPECT_THAT(page, HasSubstr("<!DOCTYPE html>"));
  EXPECT_THAT(page, HasSubstr("aba"));
  EXPECT_THAT(page, HasSubstr("&lt;</span>"));
  EXPECT_EQ(
      Refusal({"tree", Path("run"), "--batch", "3", "--problem", "p3"}),
      "--problem p3: there is no such problem in run/trees/batch-3.jsonl; the batch has p1, p2");
  EXPECT_EQ(Refusal({"tree", Path("run"), "--batch", "4", "--problem", "p2"}),
            "--batch 4: there is no such batch in run/trees; the run has batch 3");
  EXPECT_THAT(Refusal({"tree", Path("nowhere"), "--batch", "3", "--problem", "p2"}),
              HasSubstr("nowhere: there is no such directory"));
}

TEST_F(TextCommands, MakeTaskGivesTheSameBytesForTheSameSeed) {
  ASSERT_TRUE(Run({"make-task", "--count", "5", "--seed", "3"}).ok());
  const std::string first = Read("out");
  EXPECT_EQ(std::count(first.begin(), first.end(), '\n'), 5);
  ASSERT_TRUE(Run({"make-task", "--count", "5", "--seed", "3", "--split", "eval"}).ok());
  EXPECT_EQ(Read("out"), first);
  ASSERT_TRUE(Run({"make-task", "--count", "5", "--seed", "3", "--split", "train"}).ok());
  EXPECT_NE(Read("out"), first);
}

TEST_F(TextCommands, MakeTaskNamesBadFlags) {
  EXPECT_THAT(Refusal({"make-task"}), HasSubstr("--count: is missing"));
  EXPECT_THAT(Refusal({"make-task", "--count", "0"}), HasSubstr("--count"));
  EXPECT_THAT(Refusal({"make-task", "--count", "1", "--split", "test"}), HasSubstr("--split"));
}

}  // namespace
}  // namespace attnrl::tools
