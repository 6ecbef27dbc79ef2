// SPDX-License-Identifier: Apache-2.0
#include "services/learner/batch_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace attnrl::learner {
namespace {

using pipeline::PipelineMode;
using pipeline::Schedule;
using ::testing::HasSubstr;

scheduler::TrainingBatch BatchOf(uint32_t batch, uint32_t base,
                                 std::vector<scheduler::VersionRun> versions) {
  scheduler::TrainingSample sample;
  sample.prompt_ids = {1, 2};
  for (const auto& run : versions) {
    sample.response_ids.insert(sample.response_ids.end(), run.tokens, 5);
  }
  const size_t tokens = sample.response_ids.size();
  sample.logprobs.assign(tokens, -1.0f);
  sample.advantages = {{static_cast<uint32_t>(tokens), 0.5}};
  sample.versions = std::move(versions);
  return {.batch = batch, .base = base, .problems = 1, .last = false, .samples = {sample}};
}

struct Case {
  Schedule schedule;
  std::vector<uint32_t> initial;       // lag of batches e, e + 1, e + 2, e + 3
  std::vector<uint32_t> continuation;  // empty: none
};

const std::vector<Case>& Cases() {
  static const std::vector<Case> cases = {
      {{PipelineMode::kOverlapped, true}, {0, 1, 2, 2}, {0, 1, 1, 1}},
      {{PipelineMode::kOverlapped, false}, {0, 1, 1, 1}, {}},
      {{PipelineMode::kSequential, true}, {0, 1, 1, 1}, {0, 0, 0, 0}},
      {{PipelineMode::kSequential, false}, {0, 1, 1, 1}, {}},
      {{PipelineMode::kOnPolicy, true}, {0, 0, 0, 0}, {0, 0, 0, 0}},
      {{PipelineMode::kOnPolicy, false}, {0, 0, 0, 0}, {}},
  };
  return cases;
}

TEST(CheckBatch, AcceptsTheScheduledLagsAndRefusesTheirNeighbours) {
  for (const Case& c : Cases()) {
    for (uint32_t age = 0; age < 4; ++age) {
      const uint32_t b = 10 + age;
      const uint32_t good = b - c.initial[age];
      EXPECT_TRUE(CheckBatch(c.schedule, BatchOf(b, 10, {{3, good, false}})).ok());
      EXPECT_FALSE(CheckBatch(c.schedule, BatchOf(b, 10, {{3, good + 1, false}})).ok());
      EXPECT_FALSE(CheckBatch(c.schedule, BatchOf(b, 10, {{3, good - 1, false}})).ok());
      if (c.continuation.empty()) {
        EXPECT_FALSE(
            CheckBatch(c.schedule, BatchOf(b, 10, {{3, good, false}, {2, good, true}})).ok());
        continue;
      }
      const uint32_t branch = b - c.continuation[age];
      EXPECT_TRUE(
          CheckBatch(c.schedule, BatchOf(b, 10, {{3, good, false}, {2, branch, true}})).ok());
      EXPECT_FALSE(
          CheckBatch(c.schedule, BatchOf(b, 10, {{3, good, false}, {2, branch + 1, true}})).ok());
    }
  }
}

TEST(CheckBatch, NamesTheSampleAndBothVersions) {
  const absl::Status status =
      CheckBatch({PipelineMode::kOverlapped, true}, BatchOf(9, 0, {{3, 8, false}}));
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("batch 9, problem 0, response 0, node 0"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("sampled by W(8)"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("asks for W(7)"));
}

TEST(CheckBatch, RefusesASampleThatIsNotWhole) {
  const Schedule schedule{PipelineMode::kOnPolicy, false};
  const auto good = BatchOf(4, 0, {{3, 4, false}});
  ASSERT_TRUE(CheckBatch(schedule, good).ok());
  auto bad = good;
  bad.samples[0].logprobs.pop_back();
  EXPECT_THAT(std::string(CheckBatch(schedule, bad).message()), HasSubstr("2 log-probs for 3"));
  bad = good;
  bad.samples[0].advantages[0].tokens = 2;
  EXPECT_FALSE(CheckBatch(schedule, bad).ok());
  bad = good;
  bad.samples[0].prompt_ids.clear();
  EXPECT_FALSE(CheckBatch(schedule, bad).ok());
  bad = good;
  bad.base = 5;
  EXPECT_FALSE(CheckBatch(schedule, bad).ok());
}

TEST(CheckBatch, AcceptsABatchWithoutSamples) {
  EXPECT_TRUE(CheckBatch({PipelineMode::kOverlapped, true}, {.batch = 3, .base = 0}).ok());
}

}  // namespace
}  // namespace attnrl::learner
