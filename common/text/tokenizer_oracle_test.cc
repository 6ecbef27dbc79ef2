// SPDX-License-Identifier: Apache-2.0
// Ids, texts and chats of three published tokenizers, computed with Hugging Face's library.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "common/testing/shared_data.h"
#include "common/text/chat_template.h"
#include "common/text/steps.h"
#include "common/text/tokenizer.h"

namespace attnrl::text {
namespace {

using Json = nlohmann::json;
using Ids = std::vector<int32_t>;

std::vector<Json> Records(const std::string& path) {
  std::vector<Json> records;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) records.push_back(Json::parse(line));
  EXPECT_FALSE(records.empty()) << path;
  return records;
}

class PublishedTokenizer : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    folder_ = SharedData("data/oracle/tokenizer-" + GetParam());
    records_ = SharedData("data/oracle/model/tokenizer-" + GetParam());
    if (!std::filesystem::exists(folder_)) GTEST_SKIP() << folder_ << " is not there";
    const absl::Time start = absl::Now();
    absl::StatusOr<Tokenizer> tokenizer = Tokenizer::Load(folder_);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    RecordProperty("load_milliseconds",
                   static_cast<int>(absl::ToInt64Milliseconds(absl::Now() - start)));
    tokenizer_ = *std::move(tokenizer);
  }

  std::string folder_;
  std::string records_;
  std::optional<Tokenizer> tokenizer_;
};

TEST_P(PublishedTokenizer, EncodesTextsAsItsLibraryDoes) {
  for (const Json& record : Records(records_ + ".jsonl")) {
    if (record.value("text", Json()).is_null()) continue;
    EXPECT_EQ(tokenizer_->Encode(record["text"].get<std::string>()), record["ids"].get<Ids>())
        << record["id"];
  }
}

TEST_P(PublishedTokenizer, DecodesWhatItEncoded) {
  for (const Json& record : Records(records_ + ".jsonl")) {
    EXPECT_EQ(tokenizer_->Decode(record["ids"].get<Ids>()), record["decoded"].get<std::string>())
        << record["id"];
  }
}

TEST_P(PublishedTokenizer, DecodesArbitraryIdsLossily) {
  for (const Json& record : Records(records_ + "-decode.jsonl")) {
    const Ids ids = record["ids"].get<Ids>();
    EXPECT_EQ(tokenizer_->Decode(ids), record["decoded"].get<std::string>()) << record["id"];
    EXPECT_EQ(tokenizer_->Decode(ids, false), record["decoded_skip_special"].get<std::string>())
        << record["id"];
  }
}

TEST_P(PublishedTokenizer, RendersConversationsAsItsTemplateDoes) {
  const auto chat_template = ChatTemplate::Load(folder_, "");
  ASSERT_TRUE(chat_template.ok()) << chat_template.status();
  for (const Json& record : Records(records_ + "-chat.jsonl")) {
    std::vector<ChatMessage> messages;
    for (const Json& message : record["messages"]) {
      messages.push_back(
          {message["role"].get<std::string>(), message["content"].get<std::string>()});
    }
    const auto text = chat_template->Render(messages, record["add_generation_prompt"].get<bool>());
    ASSERT_TRUE(text.ok()) << text.status();
    EXPECT_EQ(*text, record["text"].get<std::string>()) << record["id"];
    EXPECT_EQ(tokenizer_->Encode(*text), record["ids"].get<Ids>()) << record["id"];
  }
}

INSTANTIATE_TEST_SUITE_P(Oracle, PublishedTokenizer, testing::Values("small", "smol", "r1"),
                         [](const auto& name) { return name.param; });

class PublishedSteps : public testing::TestWithParam<std::string> {};

TEST_P(PublishedSteps, AreThoseOfTheReference) {
  const std::string model = SharedData("data/oracle/" + GetParam());
  const std::string records = SharedData("data/oracle/model/" + GetParam());
  if (!std::filesystem::exists(model)) GTEST_SKIP() << model << " is not there";
  const auto tokenizer = Tokenizer::Load(model);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  const StepSegmenter segmenter(*tokenizer);
  std::map<std::string, Json> expected;
  for (const Json& record : Records(records + "/expected.jsonl")) {
    expected[record["id"].get<std::string>()] = record;
  }
  for (const Json& record : Records(records + "/sequences.jsonl")) {
    const Ids response = record["response_ids"].get<Ids>();
    const auto prompt = static_cast<int64_t>(record["prompt_ids"].size());
    const Json& want = expected.at(record["id"].get<std::string>());
    const std::vector<StepRange> steps = segmenter.Segment(prompt, response);
    EXPECT_EQ(Json(steps), want["step_ranges"]) << record["id"];
    const auto think_end = segmenter.ThinkEndStep(prompt, response, steps);
    EXPECT_EQ(think_end ? Json(*think_end) : Json(), want["think_end_step"]) << record["id"];
  }
}

INSTANTIATE_TEST_SUITE_P(Oracle, PublishedSteps,
                         testing::Values("qwen2-tiny", "llama-tiny", "qwen3-tiny"),
                         [](const auto& name) {
                           return name.param.substr(0, name.param.find('-'));
                         });

}  // namespace
}  // namespace attnrl::text
