// SPDX-License-Identifier: Apache-2.0
// The engine on a device: what it samples, and what a step costs between host and device.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/device/testing/fake_device.h"
#include "common/model/testing/tiny_models.h"
#include "services/rollout_worker/runner/runner.h"
#include "services/rollout_worker/testing/small_engine.h"

namespace attnrl::rollout {
namespace {

using device::FakeDevice;
using device::Traffic;
using device::TrafficMeter;

// More than two blocks of the sampler's.
model::ModelConfig Config(int64_t vocabulary = 2300, int64_t layers = 2) {
  model::ModelConfig config = model::SmallConfig();
  config.vocab_size = vocabulary;
  config.layers = layers;
  config.initializer_range = 0.5;  // far from uniform
  return config;
}

void ExpectTheTokensOfTheCpu(const std::vector<Request>& requests) {
  SmallEngine cpu(Config(), {.blocks = 40});
  SmallEngine fake(Config(), {.blocks = 40, .device = FakeDevice()});
  ExpectTheSameTokens(fake, cpu, requests);
}

TEST(RunnerOnADevice, SamplesTheTokensOfTheCpu) { ExpectTheTokensOfTheCpu(MakeRequests(8)); }

TEST(RunnerOnADevice, SamplesTheTokensOfTheCpuGreedilyAndWithTopP) {
  ExpectTheTokensOfTheCpu(MakeRequests(3, {.temperature = 0}));
  ExpectTheTokensOfTheCpu(MakeRequests(3, {.temperature = 0.8, .top_p = 0.7, .top_k = 50}));
}

// What a step of `sequences` that all decode costs.
Traffic CostOfAStep(const model::ModelConfig& config, size_t sequences,
                    const SamplingParams& sampling = {}) {
  SmallEngine setup(config, {.blocks = 40, .device = FakeDevice()});
  for (const Request& request : MakeRequests(sequences, sampling)) setup.Submit(request);
  setup.Decode(static_cast<int64_t>(sequences));
  const TrafficMeter meter;
  EXPECT_TRUE(setup.stepper->Step());
  EXPECT_EQ(setup.stepper->report().decode_rows, static_cast<int64_t>(sequences));
  EXPECT_EQ(setup.stepper->report().prefill_rows, 0);
  return meter.Read();
}

TEST(RunnerOnADevice, AStepCostsOneCopyEachWayAndNothingThatGrowsWithTheVocabulary) {
  for (const size_t sequences : {size_t{1}, size_t{5}}) {
    const Traffic cost = CostOfAStep(Config(), sequences);
    EXPECT_EQ(cost.copies_to_device, 1);
    EXPECT_EQ(cost.copies_to_host, 1) << "for which the host waits";
    EXPECT_EQ(cost.values_to_host, 0);
    const auto rows = static_cast<int64_t>(sequences);
    // Id, score and entropy.
    EXPECT_EQ(cost.bytes_to_host, 24 * rows);
    // Id, position, row, place (2), random number, temperature; 2 for each block, of which the long
    // sequence has three.
    EXPECT_LE(cost.bytes_to_device, 8 * (7 + 2 * 3) * rows);
    EXPECT_EQ(CostOfAStep(Config(40), sequences), cost) << "a small vocabulary";
    EXPECT_EQ(CostOfAStep(Config(2300, 5), sequences), cost) << "more layers";
  }
}

TEST(RunnerOnADevice, TopPBringsTheLogitsToTheHost) {
  const Traffic cost = CostOfAStep(Config(), 5, {.top_p = 0.9});
  EXPECT_EQ(cost.copies_to_host, 1);
  EXPECT_EQ(cost.bytes_to_host, 5 * 2300 * 4);
}

TEST(RunnerOnADevice, CantBeDeterministic) {
  const auto runner =
      MakeRunner({.blocks = 4, .deterministic = true, .device = FakeDevice()}, Config());
  EXPECT_TRUE(IsInputError(runner.status()));
  EXPECT_THAT(std::string(runner.status().message()), testing::HasSubstr("device fake:1"));
}

TEST(RunnerOnADevice, ACacheBeyondItsMemoryIsRefusedWithItsSize) {
  const auto runner = MakeRunner({.blocks = 1 << 20, .device = FakeDevice()}, Config());
  EXPECT_TRUE(absl::IsResourceExhausted(runner.status())) << runner.status();
}

}  // namespace
}  // namespace attnrl::rollout
