// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/model/files/config.h"
#include "common/testing/temporary_folder.h"
#include "common/text/testing/small_tokenizer.h"

namespace attnrl::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class EndTokens : public testing::Test {
 protected:
  std::vector<int32_t> Load() const {
    const auto ids = LoadEndTokens(folder_.path());
    EXPECT_TRUE(ids.ok()) << ids.status();
    return ids.ok() ? *ids : std::vector<int32_t>();
  }
  std::string Refusal() const {
    const auto ids = LoadEndTokens(folder_.path());
    EXPECT_TRUE(IsInputError(ids.status())) << ids.status();
    return std::string(ids.status().message());
  }
  void WriteTokenizer(const std::string& settings) const {
    folder_.Write("tokenizer.json", text::SmallTokenizer().dump());
    folder_.Write("tokenizer_config.json", settings);
  }

  const TemporaryFolder folder_;
};

TEST_F(EndTokens, AreTokensThatTheModelCanSample) {
  folder_.Write("config.json", R"({"vocab_size": 600, "eos_token_id": 599})");
  EXPECT_THAT(Load(), ElementsAre(599));
  folder_.Write("generation_config.json", R"({"eos_token_id": [2, 151645]})");
  EXPECT_THAT(Refusal(), HasSubstr("generation_config.json: eos_token_id: holds 151645; ids below "
                                   "config.json's vocab_size 600 are needed"));
}

TEST_F(EndTokens, AreAscendingAndEachNamedOnce) {
  folder_.Write("generation_config.json", R"({"eos_token_id": [9, 0, 2147483647, 9, 3]})");
  EXPECT_THAT(Load(), ElementsAre(0, 3, 9, 2147483647));
}

TEST_F(EndTokens, ComeFromTheFirstFileThatNamesAnyAndFromThatAlone) {
  WriteTokenizer(R"({"eos_token": "<end>"})");
  EXPECT_THAT(Load(), ElementsAre(259));
  folder_.Write("config.json", R"({"eos_token_id": 7})");
  EXPECT_THAT(Load(), ElementsAre(7));
  for (const char* nothing : {"{}", R"({"eos_token_id": null})", R"({"eos_token_id": []})"}) {
    folder_.Write("generation_config.json", nothing);
    EXPECT_THAT(Load(), ElementsAre(7)) << nothing;
  }
  folder_.Write("generation_config.json", R"({"eos_token_id": [4, 5]})");
  EXPECT_THAT(Load(), ElementsAre(4, 5));
}

TEST_F(EndTokens, AreRefusedByFileWhereTheyAreNoTokens) {
  for (const std::string value : {"-1", "2147483648", "18446744073709551615", "1.5", "\"</s>\"",
                                  "[3, true]", "[3, null]", "[[3]]", "{\"id\": 3}"}) {
    folder_.Write("config.json", "{\"eos_token_id\": " + value + "}");
    EXPECT_THAT(Refusal(), HasSubstr("config.json: eos_token_id holds ")) << value;
    EXPECT_THAT(Refusal(), HasSubstr("; a token id or a list of them is needed")) << value;
  }
  folder_.Write("generation_config.json", "{");
  EXPECT_THAT(Refusal(), HasSubstr("generation_config.json: is not JSON"));
}

TEST_F(EndTokens, AreNeeded) {
  WriteTokenizer("{}");
  EXPECT_THAT(Refusal(), HasSubstr(folder_.path() + ": no end token; eos_token_id in"));
}

}  // namespace
}  // namespace attnrl::model
