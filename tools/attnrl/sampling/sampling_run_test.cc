// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/sampling/sampling_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "common/model/files/weights.h"
#include "common/testing/temporary_folder.h"
#include "common/text/testing/small_tokenizer.h"

namespace attnrl::tools {
namespace {

class SamplingRunTest : public ::testing::Test {
 protected:
  SamplingRunTest() {
    folder_.Write("tokenizer.json", text::SmallTokenizer().dump());
    const nlohmann::json config = {{"architectures", {"Qwen2ForCausalLM"}},
                                   {"model_type", "qwen2"},
                                   {"vocab_size", 260},
                                   {"hidden_size", 16},
                                   {"intermediate_size", 32},
                                   {"num_hidden_layers", 2},
                                   {"num_attention_heads", 2},
                                   {"num_key_value_heads", 1},
                                   {"max_position_embeddings", 48},
                                   {"initializer_range", 0.5},
                                   {"eos_token_id", 259},
                                   {"torch_dtype", "float32"}};
    folder_.Write("config.json", config.dump());
    flags_.model = folder_.path();
    flags_.threads = 1;
    const auto parsed = model::LoadModelConfig(folder_.path());
    EXPECT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_TRUE(model::WriteSafetensors(folder_.path() + "/model.safetensors",
                                        model::RandomTensors(*parsed, 1, model::DType::kFloat32),
                                        {})
                    .ok());
  }

  std::vector<rollout::Completion> RunJob(const SamplingJob& job) {
    const auto folder = OpenModelFolder(flags_);
    EXPECT_TRUE(folder.ok()) << folder.status();
    auto engine = StartEngine(flags_, *folder, job);
    EXPECT_TRUE(engine.ok()) << engine.status();
    std::ostringstream out;
    FakeClock clock;
    Progress progress({.what = "test"}, out, false, clock);
    std::vector<rollout::Completion> results;
    const absl::Status status =
        RunSampling(**engine, job, folder->config.max_position_embeddings, progress,
                    [&](size_t index, rollout::Completion completion) {
                      EXPECT_EQ(index, results.size());
                      results.push_back(std::move(completion));
                      return absl::OkStatus();
                    });
    EXPECT_TRUE(status.ok()) << status;
    return results;
  }

  TemporaryFolder folder_;
  ModelFlags flags_;
};

SamplingJob MakeTestJob() {
  SamplingJob job;
  for (int32_t i = 0; i < 9; ++i) job.prompts.push_back({i, i + 1});
  job.samples = 3;
  job.max_new_tokens = 10;
  job.seed = 4;
  return job;
}

TEST_F(SamplingRunTest, GivesTheSameTokensInOrderForEveryBatchSize) {
  SamplingJob job = MakeTestJob();
  const auto expected = RunJob(job);
  ASSERT_EQ(expected.size(), 27u);
  job.max_batch = 1;
  const auto found = RunJob(job);
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].token_ids, expected[i].token_ids);
    EXPECT_EQ(found[i].token_ids.size(), 10u);
  }
  EXPECT_NE(expected[0].token_ids, expected[1].token_ids);  // samples of one prompt differ
}

TEST_F(SamplingRunTest, WithoutALimitFillsTheContext) {
  SamplingJob job = MakeTestJob();
  job.max_new_tokens = 0;
  job.samples = 1;
  for (const rollout::Completion& result : RunJob(job)) EXPECT_EQ(result.token_ids.size(), 46u);
}

TEST_F(SamplingRunTest, AnotherSeedGivesOtherTokens) {
  SamplingJob job = MakeTestJob();
  const auto first = RunJob(job);
  job.seed = 5;
  EXPECT_NE(RunJob(job)[0].token_ids, first[0].token_ids);
}

}  // namespace
}  // namespace attnrl::tools
