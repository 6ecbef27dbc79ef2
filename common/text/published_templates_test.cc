// SPDX-License-Identifier: Apache-2.0
// Small templates in the shapes of published ones, in testing/templates. tests/oracle compares the
// same files with Jinja itself.
#include <gmock/gmock.h>

#include <filesystem>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/testing/temporary_folder.h"
#include "common/text/chat_template.h"
#include "common/text/testing/small_tokenizer.h"
#include "common/text/tokenizer.h"
#include "common/text/tokenizer_file.h"

namespace attnrl::text {
namespace {

using Messages = std::vector<ChatMessage>;

const Messages kTurns = {{"user", " 1+1? "}};
const Messages kConversation = {{"system", "Be brief. "},
                                {"user", "1+1?"},
                                {"assistant", "<think>\neasy\n</think>\n\n2"},
                                {"user", "2+2?"}};

class ShapedTemplate : public testing::Test {
 protected:
  std::string Rendered(const std::string& name, const Messages& messages,
                       bool add_generation_prompt = true) {
    folder_.Write("chat_template.jinja",
                  *ReadTextFile(std::string(ATTNRL_SOURCE_DIR) + "/common/text/testing/templates/" +
                                name + ".jinja"));
    folder_.Write("tokenizer_config.json", R"({"bos_token": "<bos>", "eos_token": null})");
    const auto loaded = ChatTemplate::Load(folder_.path(), "");
    if (!loaded.ok()) return std::string(loaded.status().message());
    const auto text = loaded->Render(messages, add_generation_prompt);
    return text.ok() ? *text : std::string(text.status().message());
  }

  const TemporaryFolder folder_;
};

TEST_F(ShapedTemplate, Qwen25WritesItsOwnSystemTurn) {
  EXPECT_EQ(Rendered("qwen25", kTurns),
            "<|im_start|>system\nI am Helper, made by Example Labs.<|im_end|>\n"
            "<|im_start|>user\n 1+1? <|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(Rendered("qwen25", kConversation, false),
            "<|im_start|>system\nBe brief. <|im_end|>\n<|im_start|>user\n1+1?<|im_end|>\n"
            "<|im_start|>assistant\n<think>\neasy\n</think>\n\n2<|im_end|>\n"
            "<|im_start|>user\n2+2?<|im_end|>\n");
  EXPECT_EQ(Rendered("qwen25", {{"user", "q"}, {"tool", "a"}, {"tool", "b"}}, false),
            "<|im_start|>system\nI am Helper, made by Example Labs.<|im_end|>\n"
            "<|im_start|>user\nq<|im_end|>\n<|im_start|>user\n<tool_response>\na\n</tool_response>"
            "\n<tool_response>\nb\n</tool_response><|im_end|>\n");
}

TEST_F(ShapedTemplate, Qwen3LeavesThoughtsOfEarlierTurnsOut) {
  EXPECT_EQ(Rendered("qwen3", kTurns),
            "<|im_start|>user\n 1+1? <|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(Rendered("qwen3", kConversation),
            "<|im_start|>system\nBe brief. <|im_end|>\n<|im_start|>user\n1+1?<|im_end|>\n"
            "<|im_start|>assistant\n2<|im_end|>\n<|im_start|>user\n2+2?<|im_end|>\n"
            "<|im_start|>assistant\n");
  EXPECT_EQ(
      Rendered("qwen3", {{"user", "1+1?"}, {"assistant", "<think>\neasy\n</think>\n\n2"}}, false),
      "<|im_start|>user\n1+1?<|im_end|>\n"
      "<|im_start|>assistant\n<think>\neasy\n</think>\n\n2<|im_end|>\n");
}

TEST_F(ShapedTemplate, Llama3TrimsTurnsAndKnowsNoOtherDayThanItsOwn) {
  EXPECT_EQ(Rendered("llama3", kTurns),
            "<bos><|start_header_id|>system<|end_header_id|>\n\nToday Date: 26 Jul 2024\n\n"
            "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n1+1?<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n");
  EXPECT_EQ(Rendered("llama3", {{"system", " s\u00a0"}, {"user", "\u3000q"}}, false),
            "<bos><|start_header_id|>system<|end_header_id|>\n\nToday Date: 26 Jul 2024\n\n"
            "s<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nq<|eot_id|>");
}

TEST_F(ShapedTemplate, SmolLM2WritesItsSystemTurnBeforeTheFirst) {
  EXPECT_EQ(Rendered("smollm2", kTurns),
            "<|im_start|>system\nYou are a small helper<|im_end|>\n"
            "<|im_start|>user\n 1+1? <|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(Rendered("smollm2", {{"system", "s"}}, false), "<|im_start|>system\ns<|im_end|>\n");
}

TEST_F(ShapedTemplate, DeepseekR1KeepsTheLastSystemTextAndNoThought) {
  EXPECT_EQ(Rendered("deepseek_r1", kConversation),
            "<bos>Be brief. <｜User｜>1+1?<｜Assistant｜>\n\n2<｜end▁of▁sentence｜><｜User｜>2+2?"
            "<｜Assistant｜><think>\n");
}

TEST_F(ShapedTemplate, GivesTheFirstTokenOnceAndSpecialTokensTheirIds) {
  folder_.Write("tokenizer.json", SmallTokenizer().dump());
  folder_.Write("tokenizer_config.json", R"({"bos_token": "<end>"})");
  folder_.Write("chat_template.jinja", "{{ bos_token }}{{ messages[0].content }}{{ bos_token }}");
  const auto loaded = ChatTemplate::Load(folder_.path(), "");
  const auto tokenizer = Tokenizer::Load(folder_.path());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  const std::vector<int32_t> ids = tokenizer->Encode(*loaded->Render({{"user", "a"}}, true));
  const int32_t end = *tokenizer->AddedTokenId("<end>");
  EXPECT_EQ(ids, (std::vector<int32_t>{end, 'a', end}));
}

}  // namespace
}  // namespace attnrl::text
