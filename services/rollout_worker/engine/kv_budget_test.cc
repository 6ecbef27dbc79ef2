// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/engine/kv_budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attnrl::rollout {
namespace {

using ::testing::HasSubstr;

constexpr KvBudget kSmall = {.slots = 4,
                             .max_tokens = 64,
                             .block_bytes = 1000,
                             .memory_limit = 1'000'000,
                             .available = 900'000};

TEST(KvBudget, TakesWhatTheSlotsCanUse) {
  EXPECT_EQ(*ChooseKvBlocks(kSmall), 4 * (2 + 3));
  KvBudget unknown = kSmall;
  unknown.memory_limit = unknown.available = 0;
  unknown.slots = 1000;
  EXPECT_EQ(*ChooseKvBlocks(unknown), 5000);
}

TEST(KvBudget, TakesHalfOfTheMemoryAtMostAndSharesItWithOtherWorkers) {
  KvBudget budget = kSmall;
  budget.slots = 1000;
  EXPECT_EQ(*ChooseKvBlocks(budget), 500);
  budget.workers = 2;
  EXPECT_EQ(*ChooseKvBlocks(budget), 250);
  budget.available = 100'000;
  EXPECT_EQ(*ChooseKvBlocks(budget), 37);
}

TEST(KvBudget, RefusesWhatHasNoRoomForOneSequence) {
  KvBudget budget = kSmall;
  budget.memory_limit = 9'000;
  EXPECT_THAT(std::string(ChooseKvBlocks(budget).status().message()),
              HasSubstr("rollout.kv_cache_bytes"));
  budget = kSmall;
  budget.bytes = 4'999;
  EXPECT_THAT(std::string(ChooseKvBlocks(budget).status().message()),
              HasSubstr("a sequence of 64 tokens needs 5 blocks of 32 tokens, 5000 bytes"));
  budget.bytes = 5'000;
  EXPECT_EQ(*ChooseKvBlocks(budget), 5);
}

TEST(KvBudget, RefusesMoreThanThereIs) {
  KvBudget budget = kSmall;
  budget.bytes = 900'001;
  EXPECT_THAT(std::string(ChooseKvBlocks(budget).status().message()),
              HasSubstr("available are 900000"));
  budget.available = 0;
  EXPECT_EQ(*ChooseKvBlocks(budget), 900) << "another device's memory";
}

TEST(KvBudget, OfTheHostTakesWhatWeightsLeaveOfAWorkersPart) {
  KvBudget budget = kSmall;
  budget.host = true;
  budget.slots = 1000;
  budget.reserved = 100'000;
  EXPECT_EQ(*ChooseKvBlocks(budget), 500) << "half of the memory is less";
  budget.reserved = 700'000;
  EXPECT_EQ(*ChooseKvBlocks(budget), 200) << "of what is available";
  budget.workers = 2;
  EXPECT_EQ(std::string(ChooseKvBlocks(budget).status().message()),
            "rollout.kv_cache_bytes: half of the memory (1000000 bytes, available 900000, of which "
            "weights and the workspace of a step take 700000) for 2 workers are 0 blocks each; a "
            "sequence of 64 tokens needs 5 blocks of 32 tokens, 5000 bytes");
  budget.reserved = 400'000;
  budget.bytes = 100'000;
  EXPECT_EQ(*ChooseKvBlocks(budget), 100);
  budget.bytes = 101'000;
  EXPECT_EQ(std::string(ChooseKvBlocks(budget).status().message()),
            "rollout.kv_cache_bytes: 101000 bytes; 100000 are left of 1000000 for 2 workers, of "
            "which weights and the workspace of a step take 400000 each");
}

TEST(KvBudget, TakesNineTenthsOfWhatWeightsAndWorkspaceLeaveOfAGpu) {
  KvBudget budget = kSmall;
  budget.slots = 1000;
  budget.reserved = 500'000;
  EXPECT_EQ(*ChooseKvBlocks(budget), 360);
  budget.slots = 4;
  EXPECT_EQ(*ChooseKvBlocks(budget), 4 * (2 + 3)) << "no more than the slots can use";
  budget.reserved = 896'000;
  EXPECT_EQ(std::string(ChooseKvBlocks(budget).status().message()),
            "rollout.kv_cache_bytes: the GPU has 900000 bytes free, of which weights and the "
            "workspace of a step take 896000; the rest is 3 blocks; a sequence of 64 tokens needs "
            "5 blocks of 32 tokens, 5000 bytes");
  budget.bytes = 5'000;
  EXPECT_THAT(std::string(ChooseKvBlocks(budget).status().message()),
              HasSubstr("available are 900000, of which weights and the workspace of a step take"));
}

}  // namespace
}  // namespace attnrl::rollout
