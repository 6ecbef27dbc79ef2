// SPDX-License-Identifier: Apache-2.0
#include "common/text/chat_template.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "common/base/status.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::text {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const std::vector<ChatMessage> kQuestion = {{"user", "1+1?"}};
constexpr const char* kOwn =
    "{% if messages[0].role != 'system' %}<|im_start|>system\nI am Helper.<|im_end|>\n{% endif %}"
    "{% for m in messages %}{{ '<|im_start|>' ~ m.role }}\n{{ m.content }}<|im_end|>\n"
    "{% endfor %}";

// What the folder's template, or the one that is named, makes of the messages; else the error.
std::string Rendered(const TemporaryFolder& folder, const std::string& name,
                     const std::vector<ChatMessage>& messages, bool add_generation_prompt = false) {
  const auto loaded = ChatTemplate::Load(folder.path(), name);
  if (!loaded.ok()) return std::string(loaded.status().message());
  const auto text = loaded->Render(messages, add_generation_prompt);
  return text.ok() ? *text : std::string(text.status().message());
}

TEST(ChatTemplate, IsFoundInItsFileOrInTheTokenizersConfiguration) {
  const TemporaryFolder folder;
  EXPECT_FALSE(*ChatTemplate::IsIn(folder.path()));
  nlohmann::json config = {{"chat_template", "one {{ messages[0].content }}"}};
  folder.Write("tokenizer_config.json", config.dump());
  EXPECT_TRUE(*ChatTemplate::IsIn(folder.path()));
  EXPECT_EQ(Rendered(folder, "", kQuestion), "one 1+1?");
  config["chat_template"] = {{{"name", "tool_use"}, {"template", "?"}},
                             {{"name", "default"}, {"template", "two"}}};
  folder.Write("tokenizer_config.json", config.dump());
  EXPECT_EQ(Rendered(folder, "", kQuestion), "two");
  folder.Write("chat_template.jinja", "three");  // wins
  EXPECT_EQ(Rendered(folder, "", kQuestion), "three");
}

TEST(ChatTemplate, KnowsSpecialTokensAndThatThereAreNoTools) {
  const TemporaryFolder folder;
  folder.Write("tokenizer_config.json",
               R"({"bos_token": {"content": "<b>"}, "eos_token": "<e>", "pad_token": null})");
  folder.Write("chat_template.jinja",
               "{{ bos_token }}{{ eos_token }}{{ pad_token is defined }}{{ tools is none }}"
               "{{ add_generation_prompt }}");
  EXPECT_EQ(Rendered(folder, "", kQuestion, true), "<b><e>FalseTrueTrue");
}

TEST(ChatTemplate, NamesTheLineOfWhatIsNotSupported) {
  const TemporaryFolder folder;
  folder.Write("chat_template.jinja", "a\n{% include 'b' %}");
  EXPECT_THAT(Rendered(folder, "", kQuestion),
              AllOf(HasSubstr("chat_template.jinja:2: the statement {% include %}; for, if")));
}

TEST(ChatTemplate, SaysThatAFolderHasNone) {
  const TemporaryFolder folder;
  const absl::Status status = ChatTemplate::Load(folder.path(), "").status();
  EXPECT_TRUE(IsInputError(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("has no chat template; set"));
}

TEST(ChatTemplate, IsTheOneThatTheUserNames) {
  const TemporaryFolder folder;
  folder.Write("chat_template.jinja", "{{ messages }}");
  EXPECT_EQ(Rendered(folder, "chatml", kQuestion, true),
            "<|im_start|>user\n1+1?<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(Rendered(folder, "chatml", {}, true), "<|im_start|>assistant\n");
  EXPECT_THAT(
      Rendered(folder, "chatlm", kQuestion),
      AllOf(HasSubstr("--chat-template: no template \"chatlm\""), HasSubstr("deepseek-r1")));
}

TEST(ChatTemplate, TakesTheFoldersOwnSystemTurnForTheNamedOneOrRefuses) {
  const TemporaryFolder folder;
  EXPECT_EQ(Rendered(folder, "chatml-default-system", kQuestion),
            "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
            "<|im_start|>user\n1+1?<|im_end|>\n")
      << "no template says anything else";
  folder.Write("chat_template.jinja", kOwn);
  EXPECT_EQ(Rendered(folder, "chatml-default-system", kQuestion),
            "<|im_start|>system\nI am Helper.<|im_end|>\n<|im_start|>user\n1+1?<|im_end|>\n");
  EXPECT_EQ(Rendered(folder, "chatml-default-system", {{"system", "Be brief."}}),
            "<|im_start|>system\nBe brief.<|im_end|>\n");
  folder.Write("chat_template.jinja", "{{ messages[0].content }}");
  EXPECT_THAT(Rendered(folder, "chatml-default-system", kQuestion),
              HasSubstr("writes no system turn of ChatML by itself"));
}

TEST(ChatTemplate, RendersDeepseeksTurns) {
  const TemporaryFolder folder;
  folder.Write("tokenizer_config.json", R"({"bos_token": {"content": "<bos>"}})");
  EXPECT_EQ(Rendered(folder, "deepseek-r1-think",
                     {{"user", "1+1?"},
                      {"system", "Be brief."},
                      {"assistant", "<think>easy</think>2"},
                      {"user", "2+2?"}},
                     true),
            "<bos>Be brief.<｜User｜>1+1?<｜Assistant｜>2<｜end▁of▁sentence｜><｜User｜>2+2?"
            "<｜Assistant｜><think>\n");
  EXPECT_EQ(Rendered(folder, "deepseek-r1", kQuestion, true), "<bos><｜User｜>1+1?<｜Assistant｜>");
  EXPECT_THAT(Rendered(folder, "deepseek-r1", {{"tool", "x"}}), HasSubstr("role tool has no turn"));
}

}  // namespace
}  // namespace attnrl::text
