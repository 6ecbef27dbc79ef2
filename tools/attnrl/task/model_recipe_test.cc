// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/task/model_recipe.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "common/testing/temporary_folder.h"
#include "common/text/steps.h"
#include "common/text/tokenizer.h"
#include "tools/attnrl/task/task_generator.h"

namespace attnrl::tools {
namespace {

class EmbeddedTokenizer : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(WriteModelRecipe(folder_.path()).ok());
    const auto tokenizer = text::Tokenizer::Load(folder_.path());
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    tokenizer_ = *tokenizer;
  }

  const TemporaryFolder folder_;
  std::optional<text::Tokenizer> tokenizer_;
};

TEST_F(EmbeddedTokenizer, TakesNumbersAndTheBlankLineAsSingleTokens) {
  EXPECT_EQ(tokenizer_->Encode("d=a*b=7*3=10\n\n").size(), 12u);
  EXPECT_EQ(tokenizer_->Encode("10").size(), 1u);
  const std::vector<int32_t> blank = tokenizer_->Encode("\n\n");
  ASSERT_EQ(blank.size(), 1u);
  EXPECT_FALSE(tokenizer_->IsAdded(blank[0]));
  EXPECT_EQ(tokenizer_->Encode("\\boxed{9}").size(), 5u);
}

TEST_F(EmbeddedTokenizer, EndsWithTheTokenThatTheConfigurationNames) {
  EXPECT_EQ(tokenizer_->eos_token(), "<|endoftext|>");
  EXPECT_EQ(tokenizer_->eos_id(), 262);
  EXPECT_EQ(tokenizer_->size(), 264);
}

TEST_F(EmbeddedTokenizer, ReadsTheTaskAsMeasured) {
  const text::StepSegmenter segmenter(*tokenizer_);
  double prompts = 0;
  double responses = 0;
  size_t longest = 0;
  constexpr uint32_t kProblems = 500;
  for (uint32_t i = 0; i < kProblems; ++i) {
    const TaskProblem problem = GenerateTask(TaskSplit::kTrain, 11, i);
    const auto prompt = tokenizer_->Encode(problem.prompt);
    const auto response = tokenizer_->Encode(problem.response);
    EXPECT_EQ(tokenizer_->Decode(prompt), problem.prompt);
    EXPECT_EQ(tokenizer_->Decode(response), problem.response);
    // Tokens of the two parts are those of the whole: sampling goes on where the prompt ends.
    auto both = prompt;
    both.insert(both.end(), response.begin(), response.end());
    EXPECT_EQ(tokenizer_->Encode(problem.prompt + problem.response), both);
    const auto steps = segmenter.Segment(static_cast<int64_t>(prompt.size()), response);
    EXPECT_EQ(steps.size(), 2 + static_cast<size_t>(std::count(problem.response.begin(),
                                                               problem.response.end(), '\n')) /
                                    2);
    prompts += static_cast<double>(prompt.size());
    responses += static_cast<double>(response.size());
    longest = std::max(longest, response.size());
  }
  EXPECT_NEAR(prompts / kProblems, 99, 3);
  EXPECT_NEAR(responses / kProblems, 172, 5);
  EXPECT_LE(longest, 245u);
}

TEST(ModelRecipe, IsTheOneUnderDeploy) {
  for (const auto& [name, content] : ModelRecipe()) {
    const std::string path = ATTNRL_SOURCE_DIR "/deploy/local/model-recipe/" + name;
    std::ifstream in(path, std::ios::binary);
    ASSERT_TRUE(in.good()) << path;
    const std::string committed((std::istreambuf_iterator<char>(in)),
                                std::istreambuf_iterator<char>());
    EXPECT_EQ(committed, content) << path << " is outdated: attnrl make-task --model-recipe FOLDER";
  }
}

TEST(ModelRecipe, SaysWhereItCannotBeWritten) {
  const absl::Status status = WriteModelRecipe("/dev/null/folder");
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("/dev/null/folder"));
}

}  // namespace
}  // namespace attnrl::tools
