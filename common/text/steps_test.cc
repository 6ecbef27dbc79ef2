// SPDX-License-Identifier: Apache-2.0
#include "common/text/steps.h"

#include <gmock/gmock.h>

#include "common/testing/temporary_folder.h"
#include "common/text/testing/small_tokenizer.h"

namespace attnrl::text {
namespace {

using testing::ElementsAre;
using testing::Pair;

class Steps : public testing::Test {
 protected:
  void SetUp() override {
    nlohmann::json file = SmallTokenizer();
    file["model"]["vocab"]["ĊĊ"] = kBlankLine;
    file["model"]["vocab"][".Ċ"] = kPointLine;
    file["model"]["merges"].push_back("Ċ Ċ");
    file["model"]["merges"].push_back(". Ċ");
    file["added_tokens"].push_back({{"id", kThinkEnd}, {"content", "</think>"}});
    file["added_tokens"].push_back({{"id", kAddedBlank}, {"content", "\n\n\n"}});
    folder_.Write("tokenizer.json", file.dump());
    const auto tokenizer = Tokenizer::Load(folder_.path());
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    segmenter_.emplace(*tokenizer);
  }

  static constexpr int32_t kBlankLine = 300;
  static constexpr int32_t kPointLine = 301;
  static constexpr int32_t kThinkEnd = 302;
  static constexpr int32_t kAddedBlank = 303;
  TemporaryFolder folder_;
  std::optional<StepSegmenter> segmenter_;
};

TEST_F(Steps, EndAfterBlankLines) {
  const std::vector<int32_t> response = {'a', kBlankLine, 'b', '\n', 'c', kBlankLine, 'd'};
  EXPECT_THAT(segmenter_->Segment(3, response),
              ElementsAre(Pair(0, 3), Pair(3, 5), Pair(5, 9), Pair(9, 10)));
}

TEST_F(Steps, EndAfterNewlinesWhereThereIsNoBlankLine) {
  const std::vector<int32_t> response = {'a', kPointLine, '\n', '\n', 'b'};
  EXPECT_THAT(segmenter_->Segment(1, response),
              ElementsAre(Pair(0, 1), Pair(1, 3), Pair(3, 4), Pair(4, 5), Pair(5, 6)));
}

TEST_F(Steps, AreTokensWhereThereIsNoNewline) {
  EXPECT_THAT(segmenter_->Segment(2, std::vector<int32_t>{'a', 'b'}),
              ElementsAre(Pair(0, 2), Pair(2, 3), Pair(3, 4)));
}

TEST_F(Steps, HaveNoEmptyLastOne) {
  EXPECT_THAT(segmenter_->Segment(2, std::vector<int32_t>{'a', kBlankLine}),
              ElementsAre(Pair(0, 2), Pair(2, 4)));
  EXPECT_THAT(segmenter_->Segment(2, {}), ElementsAre(Pair(0, 2)));
}

TEST_F(Steps, AreNotSeparatedByAddedOrUnknownTokens) {
  EXPECT_THAT(segmenter_->Segment(0, std::vector<int32_t>{kAddedBlank, 9999, '\n', 'a'}),
              ElementsAre(Pair(0, 0), Pair(0, 3), Pair(3, 4)));
}

TEST_F(Steps, FindTheLastEndOfThinking) {
  const std::vector<int32_t> response = {'a',       kBlankLine, kThinkEnd,  'b', kBlankLine,
                                         kThinkEnd, 'c',        kBlankLine, 'd'};
  const std::vector<StepRange> steps = segmenter_->Segment(4, response);
  EXPECT_EQ(segmenter_->ThinkEndStep(4, response, steps), 3);
  const std::vector<int32_t> without = {'a', kBlankLine, 'b'};
  EXPECT_EQ(segmenter_->ThinkEndStep(4, without, segmenter_->Segment(4, without)), std::nullopt);
}

}  // namespace
}  // namespace attnrl::text
