// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/sampling/prompts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/testing/temporary_folder.h"
#include "common/text/testing/small_tokenizer.h"

namespace attnrl::tools {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PromptReaderTest : public ::testing::Test {
 protected:
  PromptReaderTest() { folder_.Write("tokenizer.json", text::SmallTokenizer().dump()); }

  absl::StatusOr<std::vector<int32_t>> Read(const nlohmann::json& record,
                                            const std::string& suffix = "") {
    PromptReader reader({.model_dir = folder_.path(),
                         .chat_template = "chatml",
                         .suffix = suffix,
                         .context = 60,
                         .vocabulary = 260},
                        *text::Tokenizer::Load(folder_.path()));
    return reader.Read({.value = record, .line = 3, .where = "p.jsonl:3"});
  }
  std::string Decode(const std::vector<int32_t>& ids) {
    return text::Tokenizer::Load(folder_.path())->Decode(ids);
  }

  TemporaryFolder folder_;
};

TEST_F(PromptReaderTest, TakesTextAsItIs) {
  EXPECT_THAT(*Read({{"prompt", "a the"}}), ElementsAre('a', 258));
  EXPECT_EQ(Decode(*Read({{"prompt", "a the"}}, "!")), "a the!");
}

TEST_F(PromptReaderTest, TakesIdsAsTheyAre) {
  EXPECT_THAT(*Read({{"prompt_ids", {5, 6}}}), ElementsAre(5, 6));
}

TEST_F(PromptReaderTest, PutsConversationsThroughTheTemplate) {
  const nlohmann::json record = {{"messages", {{{"role", "user"}, {"content", "hi"}}}}};
  EXPECT_EQ(Decode(*Read(record, "!")), "<|im_start|>user\nhi!<|im_end|>\n<|im_start|>assistant\n");
}

TEST_F(PromptReaderTest, TakesAQuestionUnderTheNamesOfDataSets) {
  EXPECT_EQ(Decode(*Read({{"question", "a the"}}, "!")), "a the!");
  EXPECT_EQ(Decode(*Read({{"prompt", {{{"role", "user"}, {"content", "hi"}}}}})),
            "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n");
}

TEST_F(PromptReaderTest, NamesTheRecordThatIsWrong) {
  const auto message = [&](const nlohmann::json& record) {
    const absl::Status status = Read(record).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << record;
    EXPECT_THAT(std::string(status.message()), ::testing::StartsWith("p.jsonl:3: "));
    return std::string(status.message());
  };
  EXPECT_THAT(message({{"id", 1}}), HasSubstr("prompt_ids"));
  EXPECT_THAT(message({{"prompt", ""}}), HasSubstr("empty"));
  EXPECT_THAT(message({{"prompt", std::string(60, 'x')}}), HasSubstr("60 tokens; at most 59"));
  EXPECT_THAT(message({{"prompt_ids", {5, 260}}}), HasSubstr("260; 0 to 259"));
  EXPECT_THAT(message({{"messages", {{{"role", "user"}}}}}), HasSubstr("conversation"));
  EXPECT_THAT(message({{"messages", nlohmann::json::array()}}), HasSubstr("no message"));
}

}  // namespace
}  // namespace attnrl::tools
