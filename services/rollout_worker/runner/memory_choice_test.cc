// SPDX-License-Identifier: Apache-2.0
#include "services/rollout_worker/runner/memory_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/rollout_worker/engine/kv_budget.h"
#include "services/rollout_worker/engine/stepper.h"

namespace attnrl::rollout {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Weights that outweigh the workspace, so that a version more or less matters.
model::ModelConfig LargeConfig() {
  model::ModelConfig config;
  config.vocab_size = 1 << 16;
  config.hidden_size = 4096;
  config.intermediate_size = 4096;
  config.layers = 2;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 8;
  return config;
}

constexpr MemoryWish kWish = {.slots = 4, .max_tokens = 64};

struct Sizes {
  int64_t version = 0;
  int64_t workspace = 0;
  int64_t cache = 0;  // that the slots can use
};

Sizes SizesOf(const RunnerOptions& runner) {
  const model::ModelConfig config = LargeConfig();
  return {ResidentWeightBytes(runner, config),
          StepWorkspaceBytes(runner, config, StepperOptions().max_step_rows),
          KvBlocks(kWish.slots, kWish.max_tokens) * KvBlockBytes(runner, config)};
}

TEST(MemoryChoice, HoldsTheVersionsThatAreWishedOnTheCpuToo) {
  const device::DeviceMemory unknown;
  for (const int64_t versions : {1, 2}) {
    MemoryWish wish = kWish;
    wish.resident_versions = versions;
    const auto choice = ChooseMemory(wish, {}, LargeConfig(), unknown);
    ASSERT_TRUE(choice.ok()) << choice.status();
    EXPECT_EQ(choice->versions, static_cast<size_t>(versions));
    EXPECT_EQ(choice->blocks, KvBlocks(kWish.slots, kWish.max_tokens));
  }
}

TEST(MemoryChoice, HoldsFewerVersionsWhereTheCacheHasNoRoomBesideThem) {
  for (const at::Device device : {at::Device(at::kCPU), at::Device(at::kCUDA)}) {
    const RunnerOptions runner{.device = device};
    const Sizes sizes = SizesOf(runner);
    const int64_t further = device.is_cpu() ? 2 : 1;
    // On a GPU the cache takes nine tenths of what is left.
    const int64_t two = (2 + further) * sizes.version + sizes.workspace + sizes.cache * 2;
    const auto all = ChooseMemory(kWish, runner, LargeConfig(), {.free = two, .total = two});
    ASSERT_TRUE(all.ok()) << all.status();
    EXPECT_EQ(all->versions, 2u);
    const int64_t one = two - sizes.version;
    const auto fewer = ChooseMemory(kWish, runner, LargeConfig(), {.free = one, .total = one});
    ASSERT_TRUE(fewer.ok()) << fewer.status();
    EXPECT_EQ(fewer->versions, 1u);
    const int64_t none = one - sizes.version;
    EXPECT_THAT(
        std::string(ChooseMemory(kWish, runner, LargeConfig(), {.free = none, .total = none})
                        .status()
                        .message()),
        AllOf(StartsWith("rollout.kv_cache_bytes: "),
              HasSubstr("weights and the workspace of a step take")))
        << device;
  }
}

TEST(MemoryChoice, AnExplicitCacheFitsBesideTheWeightsOfAllWorkersOfTheHost) {
  const Sizes sizes = SizesOf({});
  MemoryWish wish = kWish;
  wish.resident_versions = 1;
  wish.kv_cache_bytes = sizes.cache;
  const int64_t each = 3 * sizes.version + sizes.workspace + sizes.cache;
  const auto choose = [&](int64_t bytes) {
    return ChooseMemory(wish, {}, LargeConfig(), {.free = bytes, .total = bytes}).status();
  };
  EXPECT_TRUE(choose(each).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(choose(each - 1)));
  wish.workers = 2;
  EXPECT_TRUE(choose(2 * each).ok());
  EXPECT_THAT(std::string(choose(2 * each - 1).message()), HasSubstr("for 2 workers"));
}

}  // namespace
}  // namespace attnrl::rollout
