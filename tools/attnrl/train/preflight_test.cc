// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/preflight.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "common/base/status.h"
#include "common/testing/shared_data.h"
#include "common/testing/temporary_folder.h"

namespace attnrl::tools {
namespace fs = std::filesystem;
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// A configuration that is right, on a copy of a published tiny model; tests break one thing each.
class Preflight : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string shared = SharedData("data/oracle/qwen2-tiny");
    if (!fs::exists(shared)) GTEST_SKIP() << shared << " is not there";
    fs::create_directories(root_ / "model");
    for (const fs::directory_entry& file : fs::directory_iterator(shared)) {
      Write("model/" + file.path().filename().string(), Read(file.path()));
    }
    for (const char* name : {"attnrl-rollout-worker", "attnrl-branch-scheduler", "attnrl-verifier",
                             "attnrl-learner", "attnrl-grader"}) {
      Write(std::string("bin/") + name, "");
      fs::permissions(root_ / "bin" / name, fs::perms::owner_all);
    }
    Write("train.jsonl", R"({"id":"a","prompt":"1+1=","answers":["2"]})"
                         "\n");
    config_.model.path = root_ / "model";
    config_.data.train = root_ / "train.jsonl";
    config_.rollout.max_response_tokens = 100;
    config_.learner.max_tokens_per_pass = 1000;
  }
  static std::string Read(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }
  void Write(const std::string& name, const std::string& text) { folder_.Write(name, text); }
  std::string Refusal() {
    const auto report = CheckBeforeTraining(config_, root_ / "bin");
    EXPECT_TRUE(IsInputError(report.status())) << report.status();
    return std::string(report.status().message());
  }

  const TemporaryFolder folder_;
  const fs::path root_ = folder_.path();
  config::Config config_;
};

TEST_F(Preflight, ReportsWhatItFound) {
  const auto report = CheckBeforeTraining(config_, root_ / "bin");
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->model, HasSubstr("Qwen2"));
  EXPECT_THAT(report->data, StartsWith("1 problems"));
  EXPECT_GT(report->memory.total_bytes, 0);
}

TEST_F(Preflight, NamesAMissingService) {
  fs::remove(root_ / "bin/attnrl-learner");
  const auto report = CheckBeforeTraining(config_, root_ / "bin");
  EXPECT_TRUE(absl::IsNotFound(report.status()));
  EXPECT_THAT(std::string(report.status().message()), HasSubstr("attnrl-learner is not there"));
}

TEST_F(Preflight, RefusesAnEmptyDataSet) {
  Write("train.jsonl", "");
  EXPECT_THAT(Refusal(), HasSubstr("train.jsonl"));
}

TEST_F(Preflight, NamesTheLineOfABadRecordInAnEvaluationSetToo) {
  Write("eval.jsonl", R"({"id":"a","prompt":"1+1=","answers":["2"]})"
                      "\n{not json\n");
  config_.data.eval = {root_ / "eval.jsonl"};
  EXPECT_THAT(Refusal(), HasSubstr("eval.jsonl:2"));
}

TEST_F(Preflight, NamesThePromptThatIsTooLong) {
  config_.rollout.max_prompt_tokens = 2;
  EXPECT_THAT(Refusal(), HasSubstr("train.jsonl:1"));
}

TEST_F(Preflight, RefusesSequencesBeyondTheContextHoweverShortThePromptsAre) {
  config_.rollout.max_response_tokens = 4096;
  EXPECT_THAT(Refusal(), StartsWith("rollout.max_prompt_tokens, rollout.max_response_tokens: "));
  config_.rollout.max_response_tokens = 1;
  config_.rollout.max_prompt_tokens = 4096;
  EXPECT_THAT(Refusal(), StartsWith("rollout.max_prompt_tokens, rollout.max_response_tokens: "));
}

TEST_F(Preflight, RefusesDamagedWeights) {
  const std::string weights = Read(root_ / "model/model.safetensors");
  Write("model/model.safetensors", weights.substr(0, weights.size() - 1000));
  EXPECT_THAT(Refusal(), HasSubstr("model.safetensors"));
}

TEST_F(Preflight, RefusesWhatCannotFitIntoMemory) {
  config_.rollout.slots = int64_t{1} << 30;
  EXPECT_THAT(Refusal(), HasSubstr("rollout.slots"));
}

TEST_F(Preflight, AnswersCudaInOneLineWhereThereIsNone) {
  config_.learner.device = "cuda";
  EXPECT_THAT(Refusal(), StartsWith("learner.device: "));
}

}  // namespace
}  // namespace attnrl::tools
