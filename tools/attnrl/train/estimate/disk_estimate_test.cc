// SPDX-License-Identifier: Apache-2.0
#include "tools/attnrl/train/estimate/disk_estimate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attnrl::tools {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

model::ModelConfig SmallShape() {
  model::ModelConfig shape;
  shape.vocab_size = 1000;
  shape.hidden_size = 100;
  shape.intermediate_size = 300;
  shape.layers = 2;
  shape.heads = 4;
  shape.kv_heads = 2;
  shape.head_dim = 25;
  return shape;
}

config::Config Small() {
  config::Config config;
  config.run.steps = 100;
  config.learner.checkpoint_every = 10;
  config.learner.checkpoints_kept = 3;
  config.learner.checkpoints_best = 2;
  config.algorithm.sampling.batch_problems = 10;
  config.algorithm.sampling.initial_responses = 4;
  config.algorithm.branching.criterion = tree::Criterion::kNone;
  config.rollout.max_response_tokens = 100;
  return config;
}

DiskEstimate Estimate(const config::Config& config) {
  return EstimateDisk(config, {SmallShape(), model::DType::kBFloat16});
}

TEST(DiskEstimate, CountsTheTokensOfAllBatchesOrOfThoseThatAreKept) {
  config::Config config = Small();
  EXPECT_EQ(Estimate(config).trees, 100 * 10 * 4 * 100 * 6);
  config.observe.trees = "plain";
  EXPECT_EQ(Estimate(config).trees, 100 * 10 * 4 * 100 * 36);
  config.observe.trees_kept = 7;
  EXPECT_EQ(Estimate(config).trees, 7 * 10 * 4 * 100 * 36);
  config.observe.trees_kept = 700;
  EXPECT_EQ(Estimate(config).trees, 100 * 10 * 4 * 100 * 36);
}

TEST(DiskEstimate, CountsContinuationsWhereTheRunBranches) {
  config::Config config = Small();
  const int64_t without = Estimate(config).trees;
  config.algorithm.branching.criterion = tree::Criterion::kEarliest;
  config.algorithm.branching.points = 2;
  config.algorithm.branching.children = 3;
  EXPECT_EQ(Estimate(config).trees, 4 * without);
}

TEST(DiskEstimate, CountsTheCheckpointsThatAreThereAtOnce) {
  const int64_t weights = model::CountParameters(SmallShape());
  config::Config config = Small();
  EXPECT_EQ(Estimate(config).checkpoints, weights * (7 * 14 + 4 * 2));
  config.run.steps = 10;
  EXPECT_EQ(Estimate(config).checkpoints, weights * (3 * 14 + 4 * 2));
}

TEST(DiskEstimate, CountsTheStateOfAdaptersAlone) {
  const int64_t weights = model::CountParameters(SmallShape());
  config::Config config = Small();
  config.run.steps = 10;
  config.learner.lora.rank = 2;
  config.learner.lora.targets = config::LoraTargets::kMlp;
  // Two layers of three maps between 100 and 300.
  const int64_t adapters = 2 * 3 * 2 * (100 + 300);
  EXPECT_EQ(Estimate(config).checkpoints, 3 * (weights * 2 + adapters * 12) + weights * 4 * 2);
}

TEST(DiskEstimate, CountsTheReferenceModelOfEachRankWhereItLiesThere) {
  config::Config config = Small();
  const int64_t without = Estimate(config).rest;
  config.learner.offload_reference = config::OffloadReference::kDisk;
  config.learner.ranks = 2;
  const DiskEstimate disk = Estimate(config);
  EXPECT_EQ(disk.rest - without, 2 * 2 * model::CountParameters(SmallShape()));
  config.learner.kl_weight = 0;
  EXPECT_EQ(Estimate(config).rest, without);
}

TEST(DiskEstimate, ResultsInAServersDatabaseTakeNoneOfThisDisk) {
  config::Config config = Small();
  const DiskEstimate with_file = Estimate(config);
  config.scheduler.store = "postgres:///runs";
  EXPECT_LT(Estimate(config).rest, with_file.rest);
  EXPECT_EQ(Estimate(config).trees, with_file.trees);
}

TEST(DiskEstimate, WarnsWhereTheDiskMayNotSuffice) {
  config::Config config = Small();
  config.run.steps = 1000000;
  config.observe.trees = "plain";
  const DiskEstimate disk = Estimate(config);
  EXPECT_EQ(DiskWarning(config, disk, disk.total), "");
  EXPECT_THAT(DiskWarning(config, disk, disk.total - 1),
              HasSubstr("; observe.trees_kept bounds the trees, now to those of all batches"));
  config.observe.trees_kept = 10;
  EXPECT_THAT(DiskWarning(config, Estimate(config), 1000), Not(HasSubstr("trees_kept")));
}

}  // namespace
}  // namespace attnrl::tools
