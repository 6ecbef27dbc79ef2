// SPDX-License-Identifier: Apache-2.0
#include "services/branch_scheduler/assemble.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/testing/temporary_folder.h"
#include "common/text/testing/small_tokenizer.h"

namespace attnrl::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(OptionsOf, TakesEverySettingOfTheConfiguration) {
  config::Config config;
  config.run = {.steps = 11, .seed = 12, .max_empty_batches = 13};
  config.learner.checkpoints_kept = 14;
  config.pipeline.mode = pipeline::PipelineMode::kSequential;
  config.algorithm.branching = {.criterion = tree::Criterion::kFci,
                                .choice = tree::Choice::kTop,
                                .points = 3,
                                .children = 4,
                                .quantile = 0.5,
                                .min_distance = 14,
                                .fill = false,
                                .delta = 5};
  config.algorithm.sampling = {.initial_responses = 15,
                               .batch_problems = 16,
                               .batch_min = 17,
                               .batch_max = 18,
                               .adaptive_batch = true,
                               .filter_solved = true,
                               .drop_all_solved = true,
                               .difficulty_expansion = false,
                               .expand = tree::Expand::kMinority,
                               .train_unexpanded = true,
                               .expand_rounding = tree::ExpandRounding::kNearest};
  config.algorithm.advantage_std = false;
  config.learner.overlong = config::Overlong::kShape;
  config.learner.overlong_buffer = 18;
  config.rollout.max_prompt_tokens = 26;
  config.rollout.max_response_tokens = 19;
  config.rollout.temperature = 0.5;
  config.rollout.deterministic = true;
  config.scheduler.lease_seconds = 20;
  config.scheduler.item_seconds = 25;
  config.verifier.timeout_ms = 21;
  config.stages = {{30, {{"algorithm.sampling.initial_responses", "31"}}},
                   {40, {{"rollout.max_response_tokens", "41"}}}};
  const auto options = OptionsOf(config, "/run", {{22, 23}, 24}, "the digest");
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->run_dir, "/run");
  EXPECT_EQ(options->store.path, "/run/scheduler.db");
  EXPECT_EQ(options->steps, 11u);
  EXPECT_EQ(options->seed, 12u);
  EXPECT_EQ(options->max_empty_batches, 13u);
  EXPECT_EQ(options->checkpoints_kept, 14u);
  EXPECT_EQ(options->mode, pipeline::PipelineMode::kSequential);
  EXPECT_EQ(options->branching.criterion, tree::Criterion::kFci);
  EXPECT_EQ(options->branching.choice, tree::Choice::kTop);
  EXPECT_EQ(options->branching.points, 3u);
  EXPECT_EQ(options->branching.children, 4u);
  EXPECT_EQ(options->branching.quantile, 0.5);
  EXPECT_EQ(options->branching.min_distance, 14u);
  EXPECT_EQ(options->branching.delta, 5u);
  EXPECT_EQ(options->first.initial_responses, 15u);
  EXPECT_EQ(options->first.batch_problems, 16u);
  EXPECT_EQ(options->adaptive.batch_min, 17u);
  EXPECT_EQ(options->adaptive.batch_max, 18u);
  EXPECT_TRUE(options->adaptive.adaptive_batch);
  EXPECT_TRUE(options->adaptive.filter_solved);
  EXPECT_TRUE(options->adaptive.drop_all_solved);
  EXPECT_EQ(options->adaptive.expand, tree::Expand::kMinority);
  EXPECT_TRUE(options->adaptive.train_unexpanded);
  EXPECT_FALSE(options->branching.fill);
  EXPECT_FALSE(options->advantage_std);
  EXPECT_EQ(options->overlong_buffer, 18u);
  EXPECT_EQ(options->adaptive.rounding, tree::ExpandRounding::kNearest);
  EXPECT_TRUE(options->tree_advantages);
  EXPECT_EQ(options->max_prompt_tokens, 26u);
  EXPECT_EQ(options->first.max_response_tokens, 19u);
  EXPECT_EQ(options->At(29), options->first);
  EXPECT_EQ(options->At(30), (StageOptions{16, 31, 19}));
  EXPECT_EQ(options->At(99), (StageOptions{16, 31, 41}));
  EXPECT_EQ(options->temperature, 0.5F);
  EXPECT_EQ(options->top_p, 1);
  EXPECT_EQ(options->top_k, 0u);
  EXPECT_THAT(options->stop_ids, ElementsAre(22, 23));
  EXPECT_TRUE(options->deterministic);
  EXPECT_EQ(options->lease, absl::Seconds(20));
  EXPECT_EQ(options->item_limit, absl::Seconds(25));
  EXPECT_EQ(options->grader_timeout, absl::Milliseconds(21));
  EXPECT_EQ(options->fingerprint.at("run.seed"), "12");
  EXPECT_EQ(options->fingerprint.at("data.train (content)"), "the digest");
  EXPECT_FALSE(options->fingerprint.contains("run.steps")) << "a run may be extended";
}

TEST(OptionsOf, TakesTheDatabaseOfAServerAndAFolderForRecords) {
  config::Config config;
  config.run.id = "mine";
  config.scheduler.store = "postgres://me@db.example/runs?sslmode=verify-full";
  config.observe.records = "/records";
  const auto options = OptionsOf(config, "/run", {{1}, 2}, "");
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_FALSE(options->store.is_file());
  EXPECT_EQ(options->store.name(), "PostgreSQL database runs at db.example");
  EXPECT_EQ(options->store.run_id, "mine");
  EXPECT_EQ(options->records, "/records");
}

TEST(OptionsOf, ReadsEachSwitchByItself) {
  config::Config config;
  config.algorithm.sampling.adaptive_batch = false;
  config.algorithm.sampling.filter_solved = false;
  config.algorithm.sampling.difficulty_expansion = false;
  config.algorithm.sampling.expand = tree::Expand::kAll;
  config.algorithm.branching.criterion = tree::Criterion::kNone;
  config.algorithm.advantages = config::Advantages::kGroup;
  config.scheduler.database = "/elsewhere/s.db";
  const auto options = OptionsOf(config, "/run", {{1}, 2}, "");
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_FALSE(options->adaptive.adaptive_batch);
  EXPECT_FALSE(options->adaptive.filter_solved);
  EXPECT_FALSE(options->adaptive.drop_all_solved);
  EXPECT_EQ(options->adaptive.expand, tree::Expand::kAll);
  EXPECT_FALSE(options->adaptive.train_unexpanded);
  EXPECT_TRUE(options->branching.fill);
  EXPECT_TRUE(options->advantage_std);
  EXPECT_EQ(options->overlong_buffer, 0u) << "nothing is shaped";
  EXPECT_FALSE(options->tree_advantages);
  EXPECT_FALSE(options->branches());
  EXPECT_EQ(options->store.path, "/elsewhere/s.db");
}

TEST(OptionsOf, CountsTheDataSetsThatStagesBring) {
  config::Config config;
  config.data.train = "/a";
  config.stages = {{10, {{"learner.learning_rate", "1e-7"}}},
                   {20, {{"data.train", "/b"}}},
                   {30, {{"rollout.max_response_tokens", "41"}, {"data.train", "/b"}}},
                   {40, {{"data.train", "/a"}}}};
  const auto options = OptionsOf(config, "/run", {{1}, 2}, "");
  ASSERT_TRUE(options.ok()) << options.status();
  std::vector<uint32_t> data;
  for (const uint32_t batch : {0, 10, 19, 20, 30, 39, 40}) data.push_back(options->At(batch).data);
  EXPECT_THAT(data, ElementsAre(0, 0, 0, 1, 1, 1, 2));
}

TEST(OptionsOf, RefusesWhatThisBuildCantTrainOnByItsKey) {
  config::Config config;
  config.rollout.top_p = 0.9;
  const absl::Status status = OptionsOf(config, "/run", {{1}, 2}, "").status();
  EXPECT_TRUE(IsInputError(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("rollout.top_p"));
  EXPECT_THAT(std::string(OptionsOf({}, "/run", {{}, 2}, "").status().message()),
              HasSubstr("model.path"));
}

class ModelTextTest : public ::testing::Test {
 protected:
  ModelTextTest() {
    folder_.Write("tokenizer.json", text::SmallTokenizer().dump());
    config_.model.path = folder_.path();
    config_.data.prompt_suffix = "!";
  }
  // The text that the prompt's tokens stand for, or the error.
  std::string Encoded(const data_set::Question& question) {
    const auto text = ModelText::Load(config_);
    if (!text.ok()) return std::string(text.status().message());
    const auto ids = (*text)->EncodePrompt(question);
    return ids.ok() ? (*text)->Tools().decode(*ids) : std::string(ids.status().message());
  }

  const TemporaryFolder folder_;
  config::Config config_;
};

TEST_F(ModelTextTest, AppendsTheSuffixToATextAndToTheLastMessage) {
  EXPECT_EQ(Encoded({{"", "1+1="}}), "1+1=!");
  config_.model.chat_template = "chatml";
  EXPECT_EQ(Encoded({{"", "1+1="}}), "<|im_start|>user\n1+1=!<|im_end|>\n<|im_start|>assistant\n");
  config_.data.chat = config::Chat::kRaw;
  EXPECT_EQ(Encoded({{"", "1+1="}}), "1+1=!") << "a text goes as it is";
  EXPECT_EQ(Encoded({{"system", "s"}, {"user", "1+1="}}),
            "<|im_start|>system\ns<|im_end|>\n<|im_start|>user\n1+1=!<|im_end|>\n"
            "<|im_start|>assistant\n");
}

TEST_F(ModelTextTest, NeedsATemplateOnlyForConversationsAndRefusesAnUnknownOneAtOnce) {
  EXPECT_THAT(Encoded({{"user", "1+1="}}), HasSubstr("model.chat_template"));
  EXPECT_THAT(Encoded({{"", "a"}, {"user", "b"}}), HasSubstr("model.chat_template"))
      << "two messages are a conversation";
  config_.model.chat_template = "chatlm";
  EXPECT_THAT(Encoded({{"", "1+1="}}), HasSubstr("chatlm"));
  config_.model.path = folder_ / "nowhere";
  EXPECT_THAT(Encoded({{"", "1+1="}}), HasSubstr("nowhere"));
}

TEST_F(ModelTextTest, RefusesAPromptWithATokenThatTheModelHasNoRowFor) {
  folder_.Write("config.json", R"({"vocab_size": 259})");
  EXPECT_EQ(Encoded({{"", "of the"}}), "of the!") << "its last token is 258";
  EXPECT_EQ(Encoded({{"", "a<end>"}}),
            "the prompt: has token 259 (<end>); ids below the model's vocab_size 259 are needed");
}

TEST_F(ModelTextTest, CutsResponsesIntoStepsBehindThePrompt) {
  const auto text = ModelText::Load(config_);
  ASSERT_TRUE(text.ok()) << text.status();
  const TextTools tools = (*text)->Tools();
  EXPECT_THAT(tools.steps(4, {'a', '\n', 'b'}),
              ElementsAre(StepRange{0, 4}, StepRange{4, 6}, StepRange{6, 7}));
  EXPECT_EQ(tools.decode({' ', 257, '\n', 259}), " the\n<end>") << "special tokens are kept";
}

}  // namespace
}  // namespace attnrl::scheduler
