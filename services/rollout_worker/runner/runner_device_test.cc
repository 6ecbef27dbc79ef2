// SPDX-License-Identifier: Apache-2.0
// The engine on a device: what it samples, and what a step costs between host and device.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>

#include "common/base/philox.h"
#include "common/base/status.h"
#include "common/device/testing/fake_device.h"
#include "common/model/testing/tiny_models.h"
#include "common/model/transformer.h"
#include "services/rollout_worker/engine/stepper.h"
#include "services/rollout_worker/runner/runner.h"

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

// An engine over random weights on a device.
struct Setup {
  FakeClock clock;
  std::unique_ptr<StepRunner> runner;
  std::unique_ptr<Stepper> stepper;
  std::map<uint64_t, Completion> done;

  Setup(const model::ModelConfig& config, at::Device device) {
    model::Tensors weights = model::RandomTensors(config, 1, model::DType::kFloat32);
    for (auto& [name, tensor] : weights) tensor = tensor.to(device);
    runner = *MakeRunner({.blocks = 40, .device = device}, config);
    stepper = std::make_unique<Stepper>(
        StepperOptions{.slots = 5, .max_tokens = 100, .max_step_rows = 40}, *runner, clock);
    stepper->SetWeights(0, *MakeModel(config, std::move(weights), false));
  }

  void Submit(const Request& request) {
    const absl::Status status = stepper->Submit(request, [this](Completion completion) {
      const uint64_t id = completion.id;
      done[id] = std::move(completion);
    });
    EXPECT_TRUE(status.ok()) << status;
  }
};

// Siblings of two prompts, one longer than a block.
std::vector<Request> MakeRequests(size_t count, const SamplingParams& sampling = {}) {
  std::vector<Request> requests;
  for (size_t i = 0; i < count; ++i) {
    Request request;
    request.id = i;
    const int64_t prompt = i % 2 == 0 ? 45 : 7;
    for (int64_t token = 0; token < prompt; ++token) {
      request.prompt_ids.push_back(static_cast<int32_t>((token * 7 + prompt) % 40));
    }
    request.shared = {{{static_cast<uint32_t>(prompt)}, prompt}};
    request.max_new_tokens = 10;
    request.sampling = sampling;
    request.key = {.seed = 3, .purpose = kSampleToken, .node = static_cast<uint32_t>(i)};
    requests.push_back(std::move(request));
  }
  return requests;
}

void ExpectTheTokensOfTheCpu(const std::vector<Request>& requests) {
  Setup cpu(Config(), at::Device(at::kCPU));
  Setup fake(Config(), FakeDevice());
  for (Setup* setup : {&cpu, &fake}) {
    for (const Request& request : requests) setup->Submit(request);
    while (setup->stepper->Step()) {
    }
  }
  for (const Request& request : requests) {
    const Completion& found = fake.done.at(request.id);
    const Completion& wanted = cpu.done.at(request.id);
    ASSERT_TRUE(found.status.ok()) << found.status;
    ASSERT_EQ(found.token_ids, wanted.token_ids) << "request " << request.id;
    for (size_t i = 0; i < wanted.logprobs.size(); ++i) {
      ASSERT_NEAR(found.logprobs[i], wanted.logprobs[i], 2e-4);
      ASSERT_NEAR(found.entropy[i], wanted.entropy[i], 2e-4);
    }
  }
}

TEST(RunnerOnADevice, SamplesTheTokensOfTheCpu) { ExpectTheTokensOfTheCpu(MakeRequests(8)); }

TEST(RunnerOnADevice, SamplesTheTokensOfTheCpuGreedilyAndWithTopP) {
  ExpectTheTokensOfTheCpu(MakeRequests(3, {.temperature = 0}));
  ExpectTheTokensOfTheCpu(MakeRequests(3, {.temperature = 0.8, .top_p = 0.7, .top_k = 50}));
}

// What a step of `sequences` that all decode costs.
Traffic CostOfAStep(const model::ModelConfig& config, size_t sequences,
                    const SamplingParams& sampling = {}) {
  Setup setup(config, FakeDevice());
  for (const Request& request : MakeRequests(sequences, sampling)) setup.Submit(request);
  while (setup.stepper->report().decode_rows < static_cast<int64_t>(sequences)) {
    EXPECT_TRUE(setup.stepper->Step());
  }
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
  EXPECT_THAT(std::string(runner.status().message()), testing::HasSubstr("device fake:0"));
}

TEST(RunnerOnADevice, ACacheBeyondItsMemoryIsRefusedWithItsSize) {
  const auto runner = MakeRunner({.blocks = 1 << 20, .device = FakeDevice()}, Config());
  EXPECT_TRUE(absl::IsResourceExhausted(runner.status())) << runner.status();
}

}  // namespace
}  // namespace attnrl::rollout
