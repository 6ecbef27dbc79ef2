// SPDX-License-Identifier: Apache-2.0
#include "services/learner/train/tree_samples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "common/base/status.h"
#include "common/testing/temporary_folder.h"
#include "services/learner/testing/training_batches.h"

namespace attnrl::learner {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kProblem[] =
    R"({"batch":3,"position":1,"problem_id":"p","prompt_ids":[7,8],"kept":"all","responses":[)"
    R"({"token_ids":[1,2,3],"logprobs":[-1,-2,-3],"entropy":[0,0,0],"finish_reason":"stop",)"
    R"("version":1,"digest":"d","worker":"w","reward":1,"expanded":true,"segments":[[1,0.5],[2,-0.25]],)"
    R"("branches":[{"split":1,"children":[{"token_ids":[5,6],"logprobs":[-5,-6],)"
    R"("finish_reason":"length","version":2,"reward":0,"segments":[[1,0.5],[2,-1]]}]}]},)"
    R"({"token_ids":[4],"logprobs":[-4],"entropy":[0],"finish_reason":"stop","version":1,)"
    R"("digest":"d","worker":"w","reward":1,"expanded":false,"segments":null,"branches":[]}]})";

class TreeSamplesTest : public ::testing::Test {
 protected:
  absl::StatusOr<scheduler::TrainingBatch> Read(const std::string& text) {
    const std::string path = folder_.path() + "/batch-3.jsonl";
    std::ofstream(path) << text;
    return ReadTreeSamples(path);
  }
  TemporaryFolder folder_;
};

TEST_F(TreeSamplesTest, EveryLeafThatTrainedComesBackWhole) {
  const auto batch = Read(kProblem);
  ASSERT_TRUE(batch.ok()) << batch.status();
  EXPECT_EQ(batch->batch, 3u);
  ASSERT_EQ(batch->samples.size(), 2u);
  const auto& original = batch->samples[0];
  EXPECT_THAT(original.prompt_ids, ElementsAre(7, 8));
  EXPECT_THAT(original.response_ids, ElementsAre(1, 2, 3));
  EXPECT_THAT(original.advantages,
              ElementsAre(scheduler::AdvantageRun{1, 0.5}, scheduler::AdvantageRun{2, -0.25}));
  const auto& branch = batch->samples[1];
  EXPECT_THAT(branch.response_ids, ElementsAre(1, 5, 6));
  EXPECT_THAT(branch.logprobs, ElementsAre(-1, -5, -6));
  EXPECT_THAT(branch.versions,
              ElementsAre(scheduler::VersionRun{1, 1, false}, scheduler::VersionRun{2, 2, true}));
  EXPECT_TRUE(branch.truncated);
  EXPECT_EQ(branch.reward, 0);
  EXPECT_EQ(branch.response, 0u);
}

TEST_F(TreeSamplesTest, WhatIsWrittenReadsBackWithItsBranches) {
  auto batch = Read(kProblem);
  ASSERT_TRUE(batch.ok()) << batch.status();
  // The first response trained nothing.
  for (auto& sample : batch->samples) sample.response = 1;
  const std::string path = folder_.path() + "/written.jsonl";
  ASSERT_TRUE(WriteTreeSamples(path, *batch).ok());
  const auto read = ReadTreeSamples(path);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->samples, batch->samples);
  EXPECT_EQ(read->batch, batch->batch);
}

TEST_F(TreeSamplesTest, ProblemsThatWereDroppedGiveNothing) {
  std::string dropped = kProblem;
  dropped.replace(dropped.find("\"all\""), 5, "\"zero_advantage\"");
  const auto batch = Read(dropped);
  ASSERT_TRUE(batch.ok()) << batch.status();
  EXPECT_TRUE(batch->samples.empty());
}

TEST_F(TreeSamplesTest, ABadRecordIsNamedByFileAndLine) {
  std::string short_segments = kProblem;
  short_segments.replace(short_segments.find("[2,-0.25]"), 9, "[1,-0.25]");
  const absl::Status status = Read(std::string(kProblem) + "\n" + short_segments).status();
  EXPECT_TRUE(IsInputError(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("batch-3.jsonl:2"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("cover 2 of 3"));
  EXPECT_TRUE(IsInputError(Read("{\"batch\":1}").status()));
}

}  // namespace
}  // namespace attnrl::learner
