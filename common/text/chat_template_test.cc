// SPDX-License-Identifier: Apache-2.0
#include "common/text/chat_template.h"

#include <gmock/gmock.h>

#include "common/base/status.h"
#include "common/testing/temporary_folder.h"
#include "common/text/testing/small_tokenizer.h"

namespace attnrl::text {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const std::vector<ChatMessage> kQuestion = {{"user", "1+1?"}};

// The parts of DeepSeek's published text that decide which template it is.
std::string Deepseek(const std::string& generation_prompt) {
  return "{%- for message in messages %}{%- endfor %}{{bos_token}}{{ns.system_prompt}}"
         "{{'<｜User｜>' + message['content']}}"
         "{% set content = content.split('</think>')[-1] %}"
         "{{'<｜Assistant｜>' + content + '<｜end▁of▁sentence｜>'}}"
         "{% if add_generation_prompt and not ns.is_tool %}{{'" +
         generation_prompt + "'}}{% endif %}";
}

constexpr const char* kQwen2 =
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

std::string NameOf(const std::string& text) {
  const TemporaryFolder folder;
  folder.Write("chat_template.jinja", text);
  const auto chat_template = ChatTemplate::Load(folder.path(), "");
  return chat_template.ok() ? std::string(chat_template->name())
                            : std::string(chat_template.status().message());
}

TEST(ChatTemplate, IsMatchedByWhatItDoesNotByItsLayout) {
  EXPECT_EQ(
      NameOf("{%- for m in messages -%}\n  {{- \"<|im_start|>\" + m.role + \"\\n\" + m.content "
             "+ \"<|im_end|>\" + \"\\n\" -}}\n{%- endfor -%}\n{%- if add_generation_prompt -%}"
             "{{- \"<|im_start|>assistant\\n\" -}}{%- endif -%}"),
      "chatml");
  EXPECT_EQ(NameOf(kQwen2), "chatml-default-system");
}

TEST(ChatTemplate, TellsTheTwoRevisionsOfDeepseekApart) {
  EXPECT_EQ(NameOf(Deepseek("<｜Assistant｜>")), "deepseek-r1");
  EXPECT_EQ(NameOf(Deepseek("<｜Assistant｜><think>\\n")), "deepseek-r1-think");
  EXPECT_EQ(NameOf(Deepseek("<｜Assistant｜><think>\n")), "deepseek-r1-think");
}

TEST(ChatTemplate, RefusesAnUnknownTextAndSaysWhatToSet) {
  EXPECT_THAT(NameOf("{{ messages }}"),
              AllOf(HasSubstr("chat_template.jinja: "), HasSubstr("; set --chat-template"),
                    HasSubstr("model.chat_template")));
  EXPECT_THAT(NameOf(Deepseek("<｜Assistant｜>hm")), HasSubstr("not one of those we know"));
  EXPECT_THAT(NameOf(std::string(kQwen2) + "{{ 'more' }}"), HasSubstr("not one of those we know"));
}

TEST(ChatTemplate, SaysThatAFolderHasNone) {
  const TemporaryFolder folder;
  const absl::Status status = ChatTemplate::Load(folder.path(), "").status();
  EXPECT_TRUE(IsInputError(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("has no chat template; set"));
}

TEST(ChatTemplate, IsFoundInTheTokenizersConfiguration) {
  const TemporaryFolder folder;
  nlohmann::json config = {{"chat_template", kQwen2}};
  folder.Write("tokenizer_config.json", config.dump());
  EXPECT_EQ(ChatTemplate::Load(folder.path(), "")->name(), "chatml-default-system");
  config["chat_template"] = {{{"name", "tool_use"}, {"template", "?"}},
                             {{"name", "default"}, {"template", kQwen2}}};
  folder.Write("tokenizer_config.json", config.dump());
  EXPECT_EQ(ChatTemplate::Load(folder.path(), "")->name(), "chatml-default-system");
  folder.Write("chat_template.jinja", Deepseek("<｜Assistant｜>"));  // wins
  EXPECT_EQ(ChatTemplate::Load(folder.path(), "")->name(), "deepseek-r1");
}

TEST(ChatTemplate, IsTheOneThatTheUserNames) {
  const TemporaryFolder folder;
  folder.Write("chat_template.jinja", "{{ messages }}");
  EXPECT_EQ(*ChatTemplate::Load(folder.path(), "chatml")->Render(kQuestion, true),
            "<|im_start|>user\n1+1?<|im_end|>\n<|im_start|>assistant\n");
  const absl::Status status = ChatTemplate::Load(folder.path(), "chatlm").status();
  EXPECT_THAT(
      std::string(status.message()),
      AllOf(HasSubstr("--chat-template: no template \"chatlm\""), HasSubstr("deepseek-r1")));
}

TEST(ChatTemplate, WritesTheFoldersOwnSystemTurn) {
  const TemporaryFolder folder;
  folder.Write("chat_template.jinja", kQwen2);
  const auto chat_template = ChatTemplate::Load(folder.path(), "");
  ASSERT_TRUE(chat_template.ok());
  EXPECT_EQ(*chat_template->Render(kQuestion, false),
            "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
            "<|im_start|>user\n1+1?<|im_end|>\n");
  EXPECT_EQ(*chat_template->Render({{"system", "Be brief."}}, false),
            "<|im_start|>system\nBe brief.<|im_end|>\n");
  EXPECT_EQ(*chat_template->Render({}, true), "<|im_start|>assistant\n");
}

TEST(ChatTemplate, RendersDeepseeksTurns) {
  const TemporaryFolder folder;
  folder.Write("tokenizer_config.json", R"({"bos_token": {"content": "<bos>"}})");
  const auto chat_template = ChatTemplate::Load(folder.path(), "deepseek-r1-think");
  ASSERT_TRUE(chat_template.ok()) << chat_template.status();
  EXPECT_EQ(*chat_template->Render({{"user", "1+1?"},
                                    {"system", "Be brief."},
                                    {"assistant", "<think>easy</think>2"},
                                    {"user", "2+2?"}},
                                   true),
            "<bos>Be brief.<｜User｜>1+1?<｜Assistant｜>2<｜end▁of▁sentence｜><｜User｜>2+2?"
            "<｜Assistant｜><think>\n");
  EXPECT_TRUE(IsInputError(chat_template->Render({{"tool", "x"}}, true).status()));
}

}  // namespace
}  // namespace attnrl::text
