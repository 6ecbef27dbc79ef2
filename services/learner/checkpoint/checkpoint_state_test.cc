// SPDX-License-Identifier: Apache-2.0
#include "services/learner/checkpoint/checkpoint_state.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace attnrl::learner {
namespace {

TEST(CheckpointState, ComesBackAsItWasWritten) {
  CheckpointInfo info{.step = 7, .digest = "abc", .counters = {11, 2, 1, 3}};
  info.statistics.loss = 0.125;
  info.statistics.kl = NAN;
  info.statistics.effective_samples = 0.5;
  info.statistics.trained_tokens = 1234;
  info.statistics.train = scheduler::Span{1.5, 2.25};
  info.accuracy.since = 4;
  info.accuracy.Add(1, 3);
  info.accuracy.Add(5, 12);
  const auto parsed = ParseCheckpointState(CheckpointStateJson(info));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->step, 7u);
  EXPECT_EQ(parsed->digest, "abc");
  EXPECT_EQ(parsed->counters, info.counters);
  EXPECT_EQ(parsed->statistics.loss, 0.125);
  EXPECT_TRUE(std::isnan(parsed->statistics.kl));
  EXPECT_EQ(parsed->statistics.effective_samples, 0.5);
  EXPECT_EQ(parsed->statistics.trained_tokens, 1234u);
  EXPECT_EQ(parsed->statistics.train, info.statistics.train);
  EXPECT_FALSE(parsed->statistics.sync.has_value());
  EXPECT_EQ(parsed->accuracy, info.accuracy) << "to the last bit";
  EXPECT_TRUE(absl::IsDataLoss(ParseCheckpointState("{").status()));
  EXPECT_TRUE(absl::IsDataLoss(ParseCheckpointState("{\"format\":1}").status()));
}

TEST(CheckpointState, ASpanThatEndsBeforeItsStartIsReadAsOneWithoutLength) {
  CheckpointInfo info{.step = 7, .digest = "abc"};
  info.statistics.train = scheduler::Span{5000, 1400};
  info.statistics.sync = scheduler::Span{1400, 1401};
  const auto parsed = ParseCheckpointState(CheckpointStateJson(info));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->statistics.train, (scheduler::Span{5000, 5000}));
  EXPECT_EQ(parsed->statistics.sync, info.statistics.sync);
}

TEST(CheckpointState, OfBeforeThereWereAccuraciesAndCountsOfBatchesIsReadWithoutThem) {
  auto state = nlohmann::json::parse(CheckpointStateJson(
      {.step = 7, .counters = {.nonfinite_batches = 2}, .accuracy = {1, 2, 0}}));
  EXPECT_EQ(state.erase("accuracy") + state.erase("nonfinite_batches"), 2u);
  const auto parsed = ParseCheckpointState(state.dump());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_TRUE(std::isnan(parsed->accuracy.value()));
  EXPECT_EQ(parsed->counters.nonfinite_batches, 0);
}

}  // namespace
}  // namespace attnrl::learner
