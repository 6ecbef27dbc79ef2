// SPDX-License-Identifier: Apache-2.0
// Greedy continuations of the oracle models, with and without the fixed-order kernels.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/model/files/config.h"
#include "common/model/files/weights.h"
#include "common/testing/shared_data.h"
#include "services/rollout_worker/engine/kv_budget.h"
#include "services/rollout_worker/engine/stepper.h"
#include "services/rollout_worker/runner/runner.h"

namespace attnrl::rollout {
namespace {

class GreedyOracle : public ::testing::TestWithParam<std::tuple<std::string, bool>> {};

TEST_P(GreedyOracle, HasTheSameTokens) {
  const auto& [name, deterministic] = GetParam();
  const std::string folder = SharedData("data/oracle/" + name);
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is not there";
  const auto config = model::LoadModelConfig(folder);
  ASSERT_TRUE(config.ok()) << config.status();
  auto tensors = model::LoadTensors(folder, *config, model::DType::kFloat32, at::Device(at::kCPU));
  ASSERT_TRUE(tensors.ok()) << tensors.status();
  constexpr int64_t kSlots = 6;
  auto runner =
      MakeRunner({.blocks = KvBlocks(kSlots, 1024), .deterministic = deterministic}, *config);
  auto model = MakeModel(*config, *std::move(tensors), deterministic);
  ASSERT_TRUE(model.ok()) << model.status();
  FakeClock clock;
  Stepper stepper({.slots = kSlots, .max_tokens = 1024}, **runner, clock);
  stepper.SetWeights(0, *model);

  std::map<uint64_t, std::vector<int32_t>> expected;
  std::map<uint64_t, std::vector<int32_t>> found;
  std::ifstream file(SharedData("data/oracle/model/" + name + "/greedy.jsonl"));
  for (std::string line; std::getline(file, line);) {
    const nlohmann::json record = nlohmann::json::parse(line);
    Request request;
    request.id = expected.size();
    request.prompt_ids = record["prompt_ids"].get<std::vector<int32_t>>();
    expected[request.id] = record["continuation_ids"].get<std::vector<int32_t>>();
    request.max_new_tokens = static_cast<int64_t>(expected[request.id].size());
    request.sampling.temperature = 0;
    ASSERT_TRUE(stepper
                    .Submit(std::move(request),
                            [&](Completion done) { found[done.id] = std::move(done.token_ids); })
                    .ok());
  }
  while (stepper.Step()) {
  }
  ASSERT_FALSE(expected.empty());
  EXPECT_EQ(found, expected);
}

INSTANTIATE_TEST_SUITE_P(Models, GreedyOracle,
                         ::testing::Combine(::testing::Values("qwen2-tiny", "llama-tiny",
                                                              "qwen3-tiny"),
                                            ::testing::Bool()));

}  // namespace
}  // namespace attnrl::rollout
