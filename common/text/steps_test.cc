// SPDX-License-Identifier: Apache-2.0
#include "common/text/steps.h"

#include <gmock/gmock.h>

#include <string>
#include <utility>
#include <vector>

#include "common/base/philox.h"
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

TEST_F(Steps, AreLinesWhereToldToWhateverBlankLinesThereAre) {
  const StepSegmenter lines(*Tokenizer::Load(folder_.path()), StepCut::kLine);
  const std::vector<int32_t> response = {'a', kBlankLine, 'b', '\n', 'c', kPointLine, 'd'};
  EXPECT_THAT(lines.Segment(3, response),
              ElementsAre(Pair(0, 3), Pair(3, 5), Pair(5, 7), Pair(7, 9), Pair(9, 10)));
  EXPECT_THAT(lines.Segment(2, std::vector<int32_t>{'a', '.', ' ', 'b'}),
              ElementsAre(Pair(0, 2), Pair(2, 6)));
}

TEST_F(Steps, AreSentencesWhereToldTo) {
  const StepSegmenter sentences(*Tokenizer::Load(folder_.path()), StepCut::kSentence);
  const auto ends = [&](const std::vector<int32_t>& response) {
    std::vector<int64_t> all;
    for (const auto& step : sentences.Segment(0, response)) all.push_back(step.second);
    return all;
  };
  // Not within 3.1; after the first point, after the line that ends with a sentence, in the end.
  EXPECT_THAT(ends({'3', '.', '1', '.', ' ', 'a', '?', '\n', 'b', '.'}), ElementsAre(0, 4, 8, 10));
  EXPECT_THAT(ends({'a', kPointLine, 'b'}), ElementsAre(0, 2, 3));
  EXPECT_THAT(ends({'a', 'b'}), ElementsAre(0, 2));
  EXPECT_THAT(ends({'.', kAddedBlank, 9999, ' '}), ElementsAre(0, 4));
}

// By the words of common/text/README.md, "Steps".
std::vector<StepRange> ByDefinition(int64_t prompt, const std::vector<int32_t>& response,
                                    const std::vector<std::string>& texts) {
  std::string separator;
  for (const std::string& text : texts) {
    if (text.find('\n') != std::string::npos && separator.empty()) separator = "\n";
    if (text.find("\n\n") != std::string::npos) separator = "\n\n";
  }
  std::vector<StepRange> steps = {{0, prompt}};
  int64_t begin = prompt;
  for (size_t i = 0; i < response.size(); ++i) {
    const int64_t end = prompt + static_cast<int64_t>(i) + 1;
    if (texts[i].find(separator) == std::string::npos && i + 1 < response.size()) continue;
    steps.emplace_back(begin, end);
    begin = end;
  }
  return steps;
}

TEST_F(Steps, AreThoseOfTheDefinitionAndCoverEveryTokenOnce) {
  const std::vector<std::pair<int32_t, std::string>> tokens = {
      {'a', "a"},           {'b', "b"},        {'\n', "\n"}, {kPointLine, ".\n"},
      {kBlankLine, "\n\n"}, {kAddedBlank, ""}, {9999, ""},   {-1, ""}};
  for (uint64_t seed = 0; seed < 500; ++seed) {
    RandomStream random({.seed = seed});
    // Of the first tokens only, so that some responses have no separator.
    const uint64_t kinds = 2 + random.Below(tokens.size() - 1);
    const auto prompt = static_cast<int64_t>(random.Below(5));
    std::vector<int32_t> response;
    std::vector<std::string> texts;
    for (uint64_t i = random.Below(20); i > 0; --i) {
      const auto& [id, text] = tokens[random.Below(kinds)];
      response.push_back(id);
      texts.push_back(text);
    }
    const std::vector<StepRange> steps = segmenter_->Segment(prompt, response);
    EXPECT_EQ(steps, ByDefinition(prompt, response, texts)) << seed;
    int64_t covered = 0;
    for (const StepRange& step : steps) {
      EXPECT_EQ(step.first, covered);
      covered = step.second;
    }
    EXPECT_EQ(covered, prompt + static_cast<int64_t>(response.size()));
  }
}

}  // namespace
}  // namespace attnrl::text
