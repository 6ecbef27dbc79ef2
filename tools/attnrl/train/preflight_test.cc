// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/preflight.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/machine.h"
#include "common/base/status.h"
#include "common/model/files/config.h"
#include "common/testing/shared_data.h"
#include "common/testing/temporary_folder.h"
#include "tools/attnrl/train/report.h"

namespace attnrl::tools {
namespace fs = std::filesystem;
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
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
                             "attnrl-learner"}) {
      Write(std::string("bin/") + name, "");
      fs::permissions(root_ / "bin" / name, fs::perms::owner_all);
    }
    // This one reads the accepted answers.
    fs::create_symlink(ATTNRL_BINARY_DIR "/bin/attnrl-grader", root_ / "bin/attnrl-grader");
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
  EXPECT_THAT(report->data.summary, StartsWith("1 problems"));
  EXPECT_GT(report->memory.total_bytes, 0);
}

TEST_F(Preflight, NamesAMissingService) {
  fs::remove(root_ / "bin/attnrl-learner");
  const auto report = CheckBeforeTraining(config_, root_ / "bin");
  EXPECT_TRUE(absl::IsNotFound(report.status()));
  EXPECT_THAT(std::string(report.status().message()), HasSubstr("attnrl-learner is missing"));
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

TEST_F(Preflight, NamesEveryServiceThatIsMissingOrNoProgram) {
  for (const char* name : {"attnrl-rollout-worker", "attnrl-branch-scheduler", "attnrl-verifier",
                           "attnrl-learner", "attnrl-grader"}) {
    const fs::path binary = root_ / "bin" / name;
    fs::permissions(binary, fs::perms::owner_read);
    const std::string message(CheckBeforeTraining(config_, root_ / "bin").status().message());
    EXPECT_EQ(message, binary.string() + " is missing: tools/build builds it");
    fs::permissions(binary, fs::perms::owner_all);
  }
  EXPECT_TRUE(CheckBeforeTraining(config_, root_ / "bin").ok());
}

TEST_F(Preflight, NamesTheKeyThatIsNotSet) {
  config_.model.path = "";
  EXPECT_THAT(Refusal(), StartsWith("model.path: "));
  config_.model.path = root_ / "model";
  config_.data.train = "";
  EXPECT_THAT(Refusal(), StartsWith("data.train: "));
}

TEST_F(Preflight, NamesTheFileOfTheModelThatIsMissingOrDamaged) {
  for (const char* name : {"config.json", "tokenizer.json", "model.safetensors"}) {
    const std::string file = std::string("model/") + name;
    const std::string kept = Read(root_ / file);
    fs::remove(root_ / file);
    EXPECT_THAT(Refusal(), HasSubstr(root_ / "model")) << name;
    Write(file, "{");
    EXPECT_THAT(Refusal(), HasSubstr(name)) << name;
    Write(file, kept);
  }
  EXPECT_TRUE(CheckBeforeTraining(config_, root_ / "bin").ok());
}

TEST_F(Preflight, NamesTheTensorThatIsNotFinite) {
  std::string weights = Read(root_ / "model/model.safetensors");
  weights.replace(weights.size() - 4, 4, "\xff\xff\xff\xff");  // a NaN in any format
  Write("model/model.safetensors", weights);
  EXPECT_THAT(Refusal(), HasSubstr("holds values that are not finite"));
}

TEST_F(Preflight, TellsOfStepsAndOfSettingsWithoutEffect) {
  config_.algorithm.branching.min_distance = 512;
  const auto report = CheckBeforeTraining(config_, root_ / "bin");
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->steps, StartsWith("at most about 10 optimizer steps a batch"));
  ASSERT_EQ(report->warnings.size(), 1u);
  EXPECT_THAT(report->warnings[0], HasSubstr("no step qualifies"));
}

TEST_F(Preflight, NamesTheDataSetThatCannotBeRead) {
  config_.data.train = root_ / "nowhere.jsonl";
  EXPECT_THAT(Refusal(), StartsWith("data.train: " + (root_ / "nowhere.jsonl").string()));
  config_.data.train = root_ / "train.jsonl";
  config_.data.eval = {root_ / "train.jsonl", root_ / "nowhere.jsonl"};
  EXPECT_THAT(Refusal(), StartsWith("data.eval: " + (root_ / "nowhere.jsonl").string()));
}

TEST_F(Preflight, NamesTheLineOfEveryKindOfBadRecord) {
  const std::string good = R"({"id":"a","prompt":"1+1=","answers":["2"]})"
                           "\n";
  struct Case {
    const char* record;
    const char* what;
  };
  for (const Case& each : std::vector<Case>{
           {R"({"prompt":"1+1=","answers":["2"]})", "\"id\""},
           {R"({"id":"","prompt":"1+1=","answers":["2"]})", "\"id\" is empty"},
           {R"({"id":"a","prompt":"1+1=","answers":["2"]})", "id \"a\" is used twice"},
           {R"({"id":"b","prompt":"1+1="})", "the answer is missing: the record has \"id\" and "},
           {R"({"id":"b","prompt":"1+1=","answers":[]})", "\"answers\" is empty"},
           {R"({"id":"b","prompt":"1+1=","answers":[true]})", "\"answers\" is [true]"},
           {R"({"id":"b","answers":["2"]})", "the question is missing: the record has \"answers\""},
           {R"({"id":"b","prompt":"","answers":["2"]})", "the prompt is empty"},
           {R"({"id":"b","messages":[],"answers":["2"]})", "\"messages\""},
           {R"({"id":"b","messages":[{"role":"user"}],"answers":["2"]})", "\"messages\""},
           {R"(["b"])", "found array"}}) {
    Write("train.jsonl", good + "\n" + each.record + "\n");
    const std::string refusal = Refusal();
    EXPECT_THAT(refusal, HasSubstr("train.jsonl:3: ")) << each.record;
    EXPECT_THAT(refusal, HasSubstr(each.what)) << each.record;
  }
}

TEST_F(Preflight, TakesThePromptAndTheSequenceOfExactlyTheLongestLength) {
  const auto tokens = [this](int64_t limit) {
    config_.rollout.max_prompt_tokens = limit;
    return CheckBeforeTraining(config_, root_ / "bin").ok();
  };
  int64_t prompt = 1;
  while (!tokens(prompt) && prompt < 50) ++prompt;
  ASSERT_TRUE(tokens(prompt));
  EXPECT_FALSE(tokens(prompt - 1));
  const auto shape = model::LoadModelConfig(config_.model.path);
  ASSERT_TRUE(shape.ok()) << shape.status();
  config_.rollout.max_response_tokens = shape->max_position_embeddings - prompt;
  EXPECT_TRUE(tokens(prompt));
  EXPECT_THAT((tokens(prompt + 1), Refusal()),
              HasSubstr(absl::StrCat("the model's context is ", shape->max_position_embeddings)));
}

TEST_F(Preflight, SaysWhatTheServicesWouldNeedAndWhatThereIs) {
  config_.learner.max_tokens_per_pass = int64_t{1} << 40;
  const std::string refusal = Refusal();
  EXPECT_THAT(refusal, StartsWith("rollout.kv_cache_bytes, rollout.resident_versions, "
                                  "learner.max_tokens_per_pass, learner.offload_reference: "));
  EXPECT_THAT(refusal, HasSubstr(" GB"));
  EXPECT_THAT(refusal, HasSubstr("this machine has "));
}

TEST_F(Preflight, NamesTheRanksAndTheWorkersWhereThereAreSeveral) {
  config_.rollout.workers = 1;
  config_.learner.max_tokens_per_pass = int64_t{1} << 36;
  EXPECT_THAT(Refusal(), Not(HasSubstr("ranks")));
  EXPECT_THAT(Refusal(), HasSubstr(", 1 learner process of "));
  config_.learner.ranks = 1024;
  EXPECT_THAT(Refusal(), StartsWith("rollout.kv_cache_bytes, rollout.resident_versions, "
                                    "learner.max_tokens_per_pass, "
                                    "learner.offload_reference, learner.ranks: "));
  config_.rollout.kv_cache_bytes = 1 << 20;
  const auto shape = ReadRunShape(config_);
  ASSERT_TRUE(shape.ok()) << shape.status();
  const MemoryEstimate memory = EstimateMemory(config_, *shape, config_.rollout.kv_cache_bytes);
  EXPECT_LT(memory.rank_bytes, memory.learner_bytes);
  EXPECT_EQ(
      Refusal(),
      absl::StrCat(
          "rollout.kv_cache_bytes, rollout.resident_versions, "
          "learner.max_tokens_per_pass, learner.offload_reference, learner.ranks: the services "
          "would need about ",
          FormatBytes(memory.total_bytes), " (1 worker of ", FormatBytes(memory.worker_bytes),
          ", the first learner process of ", FormatBytes(memory.learner_bytes), ", 1023 others of ",
          FormatBytes(memory.rank_bytes), "); this machine has ", FormatBytes(MemoryLimit()),
          "; a smaller cache, shorter responses, fewer resident versions, smaller "
          "passes, a reference model on disk, fewer ranks need less"));
  config_.rollout.workers = 8;
  EXPECT_THAT(Refusal(), HasSubstr("rollout.workers, learner.ranks: "));
}

TEST_F(Preflight, WarnsOfCertificatesThatServicesOnTcpWouldRefuse) {
  config_.security = {.certificate = "/nowhere/a.crt", .key = "/nowhere/a.key", .ca = "system"};
  const auto report = CheckBeforeTraining(config_, root_ / "bin");
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_FALSE(report->warnings.empty());
  EXPECT_EQ(report->warnings.back(),
            "security.certificate: /nowhere/a.crt can't be read; a PEM file that this process may "
            "read; the services of attnrl train use Unix sockets and none of it, but one that is "
            "started with TCP will refuse it");
}

TEST_F(Preflight, NamesTheDtypeAndTheDeviceThatItDoesNotKnow) {
  config_.model.dtype = "float16";
  EXPECT_THAT(Refusal(), StartsWith("model.dtype: "));
  config_.model.dtype = "auto";
  config_.rollout.device = "tpu";
  EXPECT_THAT(Refusal(), StartsWith("rollout.device: "));
}

TEST_F(Preflight, RefusesDamagedWeights) {
  const std::string weights = Read(root_ / "model/model.safetensors");
  Write("model/model.safetensors", weights.substr(0, weights.size() - 1000));
  EXPECT_THAT(Refusal(), HasSubstr("model.safetensors"));
}

TEST_F(Preflight, RefusesWhatCannotFitIntoMemory) {
  config_.rollout.kv_cache_bytes = int64_t{1} << 46;
  EXPECT_THAT(Refusal(), StartsWith("rollout.kv_cache_bytes: "));
}

TEST_F(Preflight, AnswersCudaInOneLineWhereThereIsNone) {
  config_.learner.device = "cuda";
  EXPECT_THAT(Refusal(), StartsWith("learner.device: "));
}

}  // namespace
}  // namespace attnrl::tools
