// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "common/base/philox.h"
#include "common/model/transformer.h"
#include "services/rollout_worker/engine/stepper.h"
#include "services/rollout_worker/runner/runner.h"

namespace attnrl::rollout {

// For tests only.

// An engine over random weights of the type and on the device of its options.
struct SmallEngine {
  FakeClock clock;
  std::unique_ptr<StepRunner> runner;
  std::unique_ptr<Stepper> stepper;
  std::map<uint64_t, Completion> done;

  SmallEngine(const model::ModelConfig& config, const RunnerOptions& options,
              const model::Operators& operators = model::Operators::Standard()) {
    runner = *MakeRunner(options, config);
    stepper = std::make_unique<Stepper>(
        StepperOptions{.slots = 5, .max_tokens = 100, .max_step_rows = 40}, *runner, clock);
    SetWeights(config, options, operators, 0, 1);
  }

  // Weights drawn with `seed` for sequences of `version`.
  void SetWeights(const model::ModelConfig& config, const RunnerOptions& options,
                  const model::Operators& operators, uint32_t version, uint64_t seed) {
    model::Tensors weights = model::RandomTensors(config, seed, options.dtype);
    for (auto& [name, tensor] : weights) tensor = tensor.to(options.device);
    stepper->SetWeights(
        version, std::make_shared<const model::Transformer>(config, std::move(weights), operators));
  }

  void Submit(const Request& request) {
    const absl::Status status = stepper->Submit(request, [this](Completion completion) {
      const uint64_t id = completion.id;
      done[id] = std::move(completion);
    });
    EXPECT_TRUE(status.ok()) << status;
  }

  // Steps until all sequences decode.
  void Decode(int64_t sequences) {
    do {
      ASSERT_TRUE(stepper->Step());
    } while (stepper->report().decode_rows < sequences);
  }
};

// Siblings of two prompts, one longer than a block.
inline std::vector<Request> MakeRequests(size_t count, const SamplingParams& sampling = {}) {
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

// Runs the requests on both to their ends, and expects the same tokens and nearly the same scores.
inline void ExpectTheSameTokens(SmallEngine& found, SmallEngine& wanted,
                                const std::vector<Request>& requests) {
  for (SmallEngine* engine : {&found, &wanted}) {
    for (const Request& request : requests) engine->Submit(request);
    while (engine->stepper->Step()) {
    }
  }
  for (const Request& request : requests) {
    const Completion& a = found.done.at(request.id);
    const Completion& b = wanted.done.at(request.id);
    ASSERT_TRUE(a.status.ok()) << a.status;
    ASSERT_EQ(a.token_ids, b.token_ids) << "request " << request.id;
    for (size_t i = 0; i < b.logprobs.size(); ++i) {
      ASSERT_NEAR(a.logprobs[i], b.logprobs[i], 2e-4);
      ASSERT_NEAR(a.entropy[i], b.entropy[i], 2e-4);
    }
  }
}

}  // namespace attnrl::rollout
