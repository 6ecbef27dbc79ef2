// SPDX-License-Identifier: Apache-2.0
// The commands on a model, over the embedded one after a step of training: what one of them writes
// the next one reads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tools/attnrl/testing/captured_output.h"
#include "tools/attnrl/testing/command_test.h"

namespace attnrl::tools {
namespace fs = std::filesystem;
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using Json = nlohmann::json;

class ModelCommands : public CommandTest {
 protected:
  static void SetUpTestSuite() {
    shared_ = std::make_unique<TemporaryFolder>();
    const CapturedOutput quiet;
    ASSERT_TRUE(Run({"make-task", "--model-recipe", *shared_ / "recipe", "--count", "4", "--split",
                     "train", "--output", *shared_ / "train.jsonl"})
                    .ok());
    ASSERT_TRUE(Train("model", {}).ok());
  }
  static void TearDownTestSuite() { shared_.reset(); }

  struct Training {
    std::string steps = "1";
    std::string seed = "3";
    std::string snapshot_every = "0";
    std::string learning_rate = "2e-3";
    std::string warmup = "50";
  };
  static absl::Status Train(const std::string& output, const Training& training) {
    return Run({"sft",
                "--model",
                *shared_ / "recipe",
                "--data",
                *shared_ / "train.jsonl",
                "--output",
                *shared_ / output,
                "--batch",
                "2",
                "--save-dtype",
                "float32",
                "--steps",
                training.steps,
                "--seed",
                training.seed,
                "--snapshot-every",
                training.snapshot_every,
                "--learning-rate",
                training.learning_rate,
                "--warmup",
                training.warmup});
  }
  // Runs a command on the model over the records of `input`; what it wrote.
  std::vector<Json> Records(const std::string& command, const std::string& input,
                            const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words = {
        command,    "--model",      Model(), "--input", folder_.Write("in", input),
        "--output", folder_ / "out"};
    if (command != "tokenize") words.insert(words.end(), {"--threads", "1"});
    words.insert(words.end(), more.begin(), more.end());
    const CapturedOutput quiet;
    const absl::Status status = Run(words);
    EXPECT_TRUE(status.ok()) << status;
    std::istringstream lines(folder_.Read("out"));
    std::vector<Json> records;
    for (std::string line; std::getline(lines, line);) records.push_back(Json::parse(line));
    return records;
  }
  static std::string Model() { return *shared_ / "model"; }

  static std::unique_ptr<TemporaryFolder> shared_;
};

std::unique_ptr<TemporaryFolder> ModelCommands::shared_;

constexpr char kPrompts[] = R"({"id":"a","prompt":"a=3\n"})"
                            "\n"
                            R"({"id":[2],"prompt_ids":[97,61]})"
                            "\n";

TEST_F(ModelCommands, SftMakesTheSameWeightsFromTheSameSeedAndRefusesToReplaceThem) {
  const CapturedOutput output;
  ASSERT_TRUE(Train("again", {}).ok());
  ASSERT_TRUE(Train("other", {.seed = "4"}).ok());
  EXPECT_EQ(shared_->Read("again/model.safetensors"), shared_->Read("model/model.safetensors"));
  EXPECT_NE(shared_->Read("other/model.safetensors"), shared_->Read("model/model.safetensors"));
  EXPECT_THAT(output.err(), StartsWith("4 examples, "));
  EXPECT_THAT(output.err(), HasSubstr(" million parameters, 1 steps of 2\n"));
  EXPECT_EQ(output.out(), "");
  const std::string refusal =
      absl::StrReplaceAll(Train("again", {}).message(), {{shared_->path(), "D"}});
  EXPECT_THAT(refusal, StartsWith("--output: D/again "));
}

TEST_F(ModelCommands, SftWritesASnapshotAfterEachMultipleButTheLast) {
  const CapturedOutput quiet;
  ASSERT_TRUE(Train("many/", {.steps = "5", .snapshot_every = "2"}).ok());
  std::set<std::string> folders;
  for (const auto& entry : fs::directory_iterator(shared_->path())) {
    const std::string name = entry.path().filename();
    if (name.starts_with("many")) folders.insert(name);
  }
  EXPECT_EQ(folders, (std::set<std::string>{"many", "many-step2", "many-step4"}));
}

TEST_F(ModelCommands, SftRefusesFoldersThatItCouldNotWriteBeforeItTrains) {
  const CapturedOutput quiet;
  fs::create_directory(*shared_ / "due-step4");
  const absl::Status taken = Train("due", {.steps = "6", .snapshot_every = "2"});
  EXPECT_EQ(absl::StrReplaceAll(taken.message(), {{shared_->path(), "D"}}),
            "--snapshot-every: D/due-step4 exists; new folders are needed");
  EXPECT_FALSE(fs::exists(*shared_ / "due-step2"));
  EXPECT_TRUE(Train("due", {.steps = "4", .snapshot_every = "4"}).ok()) << "it isn't written";
  shared_->Write("file", "");
  const absl::Status nowhere = Train("file/trained", {});
  EXPECT_TRUE(IsInputError(nowhere)) << nowhere;
  EXPECT_THAT(std::string(nowhere.message()), StartsWith("--output: "));
}

TEST_F(ModelCommands, SftOfNothingButStepsThatAreNotFiniteFailsAndWritesNothing) {
  const CapturedOutput quiet;
  fs::copy(Model(), *shared_ / "broken");
  std::string weights = shared_->Read("broken/model.safetensors");
  weights.replace(weights.size() - 4, 4, "\xff\xff\xff\xff");  // a NaN
  shared_->Write("broken/model.safetensors", weights);
  const absl::Status status =
      Run({"sft", "--model", *shared_ / "broken", "--data", *shared_ / "train.jsonl", "--output",
           *shared_ / "trained", "--batch", "2", "--steps", "2", "--snapshot-every", "1"});
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), StartsWith("none of the 2 steps had a finite loss"));
  EXPECT_FALSE(fs::exists(*shared_ / "trained"));
  EXPECT_FALSE(fs::exists(*shared_ / "trained-step1"));
}

TEST_F(ModelCommands, SftEndsAfterTwentySkippedStepsInARowWhereverTheyBegin) {
  const CapturedOutput quiet;
  // The first step is finite, and what it makes of the weights is too large for the next.
  const absl::Status status =
      Train("diverged", {.steps = "50", .learning_rate = "1e18", .warmup = "1"});
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), StartsWith("none of the last 20 steps had a finite"));
  EXPECT_FALSE(fs::exists(*shared_ / "diverged"));
}

TEST_F(ModelCommands, SftNeverWritesWeightsThatAreNotFinite) {
  const CapturedOutput quiet;
  const absl::Status status =
      Train("infinite", {.steps = "1", .learning_rate = "1e39", .warmup = "1"});
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(" is not finite in float32; "));
  EXPECT_FALSE(fs::exists(*shared_ / "infinite"));
}

TEST_F(ModelCommands, GenerateAnswersInTheOrderOfTheInputWhateverTheBatch) {
  const std::vector<std::string> flags = {"--samples", "3", "--max-new-tokens", "6",
                                          "--seed",    "1", "--ignore-eos"};
  const std::vector<Json> records = Records("generate", kPrompts, flags);
  ASSERT_EQ(records.size(), 6u);
  for (size_t i = 0; i < records.size(); ++i) {
    EXPECT_EQ(records[i]["id"], i < 3 ? Json("a") : Json({2}));
    EXPECT_EQ(records[i]["sample"], i % 3);
    EXPECT_EQ(records[i]["token_ids"].size(), 6u);
    EXPECT_EQ(records[i]["logprobs"].size(), 6u);
    EXPECT_EQ(records[i]["finish_reason"], "length");
    std::vector<std::string> keys;
    for (const auto& [key, value] : records[i].items()) keys.push_back(key);
    EXPECT_THAT(keys, ::testing::UnorderedElementsAre("id", "sample", "token_ids", "text",
                                                      "logprobs", "finish_reason"));
  }
  EXPECT_NE(records[0]["token_ids"], records[1]["token_ids"]);
  std::vector<std::string> one_at_a_time = flags;
  one_at_a_time.insert(one_at_a_time.end(), {"--max-batch", "1"});
  const std::vector<Json> again = Records("generate", kPrompts, one_at_a_time);
  for (size_t i = 0; i < records.size(); ++i) {
    EXPECT_EQ(again[i]["token_ids"], records[i]["token_ids"]) << i;
  }
}

TEST_F(ModelCommands, GenerateEndsATextAtTheStopText) {
  const std::vector<std::string> flags = {"--max-new-tokens", "30", "--seed", "1", "--ignore-eos"};
  const Json whole = Records("generate", kPrompts, flags)[0];
  const auto is_text = [](char c) { return c >= ' ' && c <= '~'; };
  const std::string text = whole["text"];
  const auto first = std::find_if(text.begin(), text.end(), is_text);
  ASSERT_NE(first, text.end()) << text;  // half of the vocabulary is
  std::vector<std::string> stopping = flags;
  stopping.insert(stopping.end(), {"--stop", std::string(1, *first)});
  const Json cut = Records("generate", kPrompts, stopping)[0];
  EXPECT_EQ(cut["finish_reason"], "stop");
  EXPECT_EQ(cut["text"], std::string(text.begin(), first));
  EXPECT_LE(cut["token_ids"].size(), whole["token_ids"].size());
}

TEST_F(ModelCommands, ScoreGivesTheLogProbsThatGenerateSampledWith) {
  std::string input;
  std::vector<Json> sampled =
      Records("generate", kPrompts, {"--max-new-tokens", "12", "--ignore-eos"});
  const Json prompts = {Records("tokenize", R"({"id":1,"text":"a=3\n"})")[0]["ids"], {97, 61}};
  for (size_t i = 0; i < sampled.size(); ++i) {
    input += Json{{"id", i}, {"prompt_ids", prompts[i]}, {"response_ids", sampled[i]["token_ids"]}}
                 .dump() +
             "\n";
  }
  const std::vector<Json> scored = Records("score", input);
  ASSERT_EQ(scored.size(), sampled.size());
  for (size_t i = 0; i < scored.size(); ++i) {
    EXPECT_EQ(scored[i]["id"], i);
    ASSERT_EQ(scored[i]["logprobs"].size(), 12u);
    for (size_t t = 0; t < 12; ++t) {
      EXPECT_NEAR(scored[i]["logprobs"][t].get<double>(), sampled[i]["logprobs"][t].get<double>(),
                  1e-3);
      EXPECT_GE(scored[i]["entropy"][t].get<double>(), 0);
    }
  }
}

TEST_F(ModelCommands, FciCutsTheStepsThatBranchThenReads) {
  const std::string text = "a=3\n\nb=a+1\n\nc=b\n\nd=c\n\ne=d\n\nf=e";
  const Json ids = Records("tokenize", Json{{"id", 1}, {"text", text}}.dump())[0]["ids"];
  const Json record = {{"id", "r"}, {"prompt_ids", {97}}, {"response_ids", ids}};
  const Json scored = Records("fci", record.dump(), {"--delta", "1"})[0];
  const auto steps = scored["steps"].get<std::vector<std::pair<int64_t, int64_t>>>();
  ASSERT_GT(steps.size(), 2u);
  EXPECT_EQ(steps.front(), (std::pair<int64_t, int64_t>{0, 1}));
  EXPECT_EQ(steps.back().second, static_cast<int64_t>(ids.size()) + 1);
  EXPECT_EQ(scored["fci"].size(), steps.size());
  EXPECT_EQ(scored["fci"][0], 0);
  const CapturedOutput quiet;
  ASSERT_TRUE(Run({"branch", "--input", folder_ / "out", "--output", folder_ / "points",
                   "--min-distance", "0", "--quantile", "0"})
                  .ok());
  const Json points = Json::parse(folder_.Read("points"));
  EXPECT_EQ(points["id"], "r");
  ASSERT_FALSE(points["points"].empty());
  for (const Json& point : points["points"]) {
    EXPECT_TRUE(std::any_of(steps.begin(), steps.end(), [&point](const auto& step) {
      return step.first == point.get<int64_t>() + 1;  // behind the prompt's one token
    })) << point;
  }
}

TEST_F(ModelCommands, TokenizeGivesBackEveryPromptOfTheTask) {
  std::istringstream lines(shared_->Read("train.jsonl"));
  std::vector<std::string> texts;
  std::string input;
  for (std::string line; std::getline(lines, line);) {
    texts.push_back(Json::parse(line)["prompt"]);
    input += Json{{"id", texts.size()}, {"text", texts.back()}}.dump() + "\n";
  }
  Records("tokenize", input);
  const std::vector<Json> back = Records("tokenize", folder_.Read("out"), {"--decode"});
  ASSERT_EQ(back.size(), 4u);
  for (size_t i = 0; i < back.size(); ++i) EXPECT_EQ(back[i]["text"], texts[i]);
}

TEST_F(ModelCommands, ChatAnswersEachLineOfItsInputThroughTheTemplate) {
  const std::vector<std::string> words = {
      "chat", "--model", Model(), "--threads", "1", "--max-new-tokens", "3", "--context", "400"};
  const auto chat = [](std::vector<std::string> all, const std::string& questions,
                       std::string* answers) {
    std::istringstream input(questions);
    std::streambuf* const before = std::cin.rdbuf(input.rdbuf());
    const CapturedOutput output;
    const absl::Status status = Run(all);
    std::cin.rdbuf(before);
    std::cin.clear();
    *answers = output.out();
    return status;
  };
  std::vector<std::string> named = words;
  named.insert(named.end(), {"--chat-template", "chatml", "--temperature", "0"});
  std::string two;
  std::string first;
  ASSERT_TRUE(chat(named, "a=3\n\nb=4\n", &two).ok());
  ASSERT_TRUE(chat(named, "a=3\n", &first).ok());
  EXPECT_THAT(two, StartsWith(first)) << "an empty line is no question";
  EXPECT_GT(two.size(), first.size());
  EXPECT_THAT(two, ::testing::Not(HasSubstr("\x1b"))) << "no colours in a pipe";
  std::string unended;
  ASSERT_TRUE(chat(named, "a=3", &unended).ok());
  EXPECT_EQ(unended, first);
  EXPECT_THAT(Refused(chat(named, std::string((1 << 20) + 1, 'a') + "\n", &two)),
              StartsWith("standard input: a line is too long; at most 1048576 bytes a line"));
  const absl::Status refused = chat(words, "a=3\n", &two);
  EXPECT_THAT(Refused(refused), HasSubstr("the model has no chat template"));
}

}  // namespace
}  // namespace attnrl::tools
