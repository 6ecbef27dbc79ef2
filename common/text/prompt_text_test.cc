// SPDX-License-Identifier: Apache-2.0
#include "common/text/prompt_text.h"

#include <gmock/gmock.h>

#include "common/base/status.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::text {
namespace {

using testing::HasSubstr;
using Question = std::vector<std::pair<std::string, std::string>>;

const Question kText = {{"", "1+1="}};
const Question kChat = {{"user", "1+1="}};

std::string Asked(PromptText::Options options, const Question& question) {
  PromptText prompts(std::move(options));
  const auto text = prompts.Of(question);
  return text.ok() ? *text : std::string(text.status().message());
}

class PromptTextTest : public testing::Test {
 protected:
  void HasTemplate(const char* text =
                       "{% for m in messages %}[{{ m.role }}: {{ m.content }}]"
                       "{% endfor %}") {
    folder_.Write("chat_template.jinja", text);
  }
  PromptText::Options Options(bool chat) const {
    return {.model_dir = folder_.path(), .suffix = "!", .chat = chat};
  }

  const TemporaryFolder folder_;
};

TEST_F(PromptTextTest, ATextIsAUsersMessageWhereTheModelHasATemplate) {
  EXPECT_EQ(Asked(Options(true), kText), "1+1=!") << "there is none yet";
  HasTemplate();
  EXPECT_EQ(Asked(Options(true), kText), "[user: 1+1=!]");
  EXPECT_EQ(Asked(Options(true), kText), Asked(Options(true), kChat));
}

TEST_F(PromptTextTest, ATextStaysAsItIsWhereThatIsAskedFor) {
  HasTemplate();
  EXPECT_EQ(Asked(Options(false), kText), "1+1=!");
  EXPECT_EQ(Asked(Options(false), kChat), "[user: 1+1=!]") << "a conversation needs the template";
}

TEST_F(PromptTextTest, ANameIsATemplateToo) {
  PromptText::Options options = Options(true);
  options.chat_template = "chatml";
  EXPECT_EQ(Asked(options, kText), "<|im_start|>user\n1+1=!<|im_end|>\n<|im_start|>assistant\n");
}

TEST_F(PromptTextTest, KnowsWhatEndsAnAnswerOnceTheTemplateIsInUse) {
  PromptText::Options options = Options(true);
  options.chat_template = "chatml";
  PromptText prompts(options);
  EXPECT_EQ(prompts.EndOfTurn(), "");
  ASSERT_TRUE(prompts.Of(kText).ok());
  EXPECT_EQ(prompts.EndOfTurn(), "<|im_end|>\n");

  HasTemplate("{% if messages|length > 1 %}{{ raise_exception('one') }}{% endif %}Q");
  PromptText one_turn(Options(true));
  ASSERT_TRUE(one_turn.Of(kText).ok());
  EXPECT_EQ(one_turn.EndOfTurn(), "") << "a template of one turn is no error";
}

TEST_F(PromptTextTest, RefusesATemplateThatItCantRenderUnlessItIsNotNeeded) {
  HasTemplate("{% macro turn() %}{% endmacro %}");
  EXPECT_THAT(Asked(Options(true), kText),
              HasSubstr("chat_template.jinja:1: the statement {% mac"));
  EXPECT_EQ(Asked(Options(false), kText), "1+1=!");
}

TEST_F(PromptTextTest, NeedsATemplateForAConversation) {
  EXPECT_THAT(Asked(Options(true), kChat), HasSubstr("the model has no chat template; set"));
  EXPECT_THAT(Asked(Options(true), {{"", "a"}, {"user", "b"}}), HasSubstr("no chat template"))
      << "two messages are a conversation";
}

}  // namespace
}  // namespace attnrl::text
